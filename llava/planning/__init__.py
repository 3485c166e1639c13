"""What a run will take in weights, memory, hours and dollars, reckoned before it starts."""
