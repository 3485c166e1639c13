"""A study's texts and films into tokens, and an answer back into text."""
