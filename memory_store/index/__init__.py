"""The index over the task texts: Chroma in a slot of its own per process, kept level with the ledger."""
