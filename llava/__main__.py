"""`python -m llava`: train, generate, plot and the rest."""

from llava.cli import app

app(prog_name="python -m llava")
