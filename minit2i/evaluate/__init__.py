"""All that this project claims, measured: the judge, metrics, measures of the core, and the report."""
