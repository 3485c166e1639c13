"""The published encoders, one module each: its `SPEC` says where it is from, how large it is and how its keys read."""
