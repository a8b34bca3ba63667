"""Maintenance of the memory: statistics, export, import, pruning and forgetting."""
