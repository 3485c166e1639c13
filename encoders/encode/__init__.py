"""Films in, features on disk: addressed by what is in them, so that nothing is encoded twice."""
