"""Trains report generators with any chest X-ray encoder, and writes reports with them."""
