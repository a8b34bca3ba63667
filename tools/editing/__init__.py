"""Text in and out of a model: context files, prompts' parts, and the code in an answer."""
