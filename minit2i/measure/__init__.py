"""The back house where everything is measured that this project claims: one file a subject, and the
report."""
