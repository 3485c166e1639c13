"""`python -m encoders`: encode, list, show, doctor, convert, pin."""

from encoders.cli import app

app(prog_name="python -m encoders")
