"""The built-in offline engine: lexicons, negation and hedging, sides, tips, removals."""
