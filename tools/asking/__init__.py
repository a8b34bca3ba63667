"""One request to a model: paid for in advance, counted however it ends."""
