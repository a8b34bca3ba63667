"""Checks answers: parsing, tests in a sandbox, and the reviewer model."""
