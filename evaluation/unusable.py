"""The error message for a file on disk that cannot be used."""

from pathlib import Path


def in_words(error: Exception, file: Path) -> str:
    """The file, the reason and the remedy. error: an OSError, or one of ours, whose message has all three already."""
    if not isinstance(error, OSError):
        return str(error)
    return f"{error.filename or file} cannot be used ({error.strerror or error}). Name another file."
