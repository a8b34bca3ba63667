"""What can be wrong with a suite."""


class UnusableTask(Exception):
    """A task that cannot be put to a model. The message names its file, the field, and what to write there."""
