"""Scores of generated reports (not built yet)."""
