"""Keeping the memory well: what is in it, taking it elsewhere and back, letting go, forgetting."""
