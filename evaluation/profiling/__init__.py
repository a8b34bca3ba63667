"""Proposed changes to the profiles, derived from evaluations and from use, with their evidence."""
