"""Sends requests to models: their cost is reserved in advance, and booked however they end."""
