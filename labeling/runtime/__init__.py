"""Puts many questions to a language model (or to the rules) and gives back checked answers or named failures."""
