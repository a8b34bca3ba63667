"""Text to and from models: context files, prompts, answers, and the file changes in them."""
