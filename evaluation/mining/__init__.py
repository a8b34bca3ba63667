"""Tasks mined from a project's own git history: commits that change code and tests together."""
