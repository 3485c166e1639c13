"""How each published encoder wants its pixels, as data, and the one code that does it."""
