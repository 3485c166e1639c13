"""What a trainer tells, and what is measured, kept and drawn of it."""
