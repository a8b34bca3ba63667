"""Who does a task: its type, its complexity, and the model that is asked."""
