"""Strict local mock servers of the vendors' APIs: real HTTP with their wire formats, on 127.0.0.1 only."""
