"""Tasks mined from a project's own git history: commits that changed code and tests together."""
