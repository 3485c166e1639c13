"""Scores of generated reports: metrics, their intervals, and honest comparisons."""
