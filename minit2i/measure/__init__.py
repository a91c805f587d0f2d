"""The back house where all that this project claims is measured: one file a subject, and the report."""
