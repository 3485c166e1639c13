"""Intervals, tests and curves: pure functions on arrays, seeded by an argument, that know nothing of reports."""
