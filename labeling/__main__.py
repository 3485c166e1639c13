"""`python -m labeling`: label, redecide, schema."""

from labeling.cli import app

app()
