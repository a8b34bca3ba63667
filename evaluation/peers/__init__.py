"""Strict local stand-ins for the vendors: their wire formats over real HTTP, on 127.0.0.1 only."""
