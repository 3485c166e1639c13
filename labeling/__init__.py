"""Reads chest X-ray reports into validated labels, each proven by its sentence."""
