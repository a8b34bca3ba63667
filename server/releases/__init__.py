"""Reads the vendors' model listings, with strict validation."""
