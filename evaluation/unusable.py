"""What is told of a file on disk that cannot be used."""

from pathlib import Path


def in_words(error: Exception, file: Path) -> str:
    """The file, why, and what to do. error: of the system's, or one of ours, which says all that by itself."""
    if not isinstance(error, OSError):
        return str(error)
    return f"{error.filename or file} cannot be used ({error.strerror or error}). Name another file."
