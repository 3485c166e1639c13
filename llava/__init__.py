"""Report generator trainer (not built yet)."""
