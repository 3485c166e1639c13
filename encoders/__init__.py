"""Chest X-ray encoders behind one contract (not built yet)."""
