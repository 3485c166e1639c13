"""Chest X-ray encoders behind one contract."""
