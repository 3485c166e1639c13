"""Engines: each answers one question at a time behind the protocol of `labeling.runtime.engine`."""
