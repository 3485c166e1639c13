"""`python -m studies`: synthetic, example-images."""

from studies.cli import app

app()
