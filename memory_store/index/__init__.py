"""The vector index over task texts: Chroma, in one slot per process, kept in sync with the ledger."""
