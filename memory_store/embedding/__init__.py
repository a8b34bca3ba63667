"""Embedders, which turn texts into vectors, and their selection by setting."""
