"""Placement decided by code: versioned tables per device, and which rule decided."""
