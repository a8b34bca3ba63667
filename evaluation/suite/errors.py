"""Errors of a suite."""


class UnusableTask(Exception):
    """A task file that is invalid. The message names the file, the field, and what to write there."""
