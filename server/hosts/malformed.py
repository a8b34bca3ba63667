"""The error of texts that cannot be parsed, whatever their format."""


class Malformed(ValueError):
    """The text is not valid in its format. The message names the place."""
