"""Routes a task: its type, its complexity, and the model to ask."""
