"""Errors of the index; the keeper handles them all.

IndexFailure
├── IndexDamaged      the contents are not what was written: discard and rebuild
│   └── NotFindable   searches miss stored vectors; a rebuild does not help if it was just built
├── IndexFailed       one operation failed: reopen and check for completeness
└── IndexUnavailable  the index cannot be used for now; the message gives the remedy
"""


class IndexFailure(Exception):
    """The index cannot answer."""


class IndexDamaged(IndexFailure):
    """The index must be rebuilt."""


class NotFindable(IndexDamaged):
    """Searches miss vectors that are in the index."""

    def __init__(self, misses: int, looked_for: int) -> None:
        super().__init__(f"{misses} of {looked_for} vectors in it are not found")
        self.misses = misses
        self.looked_for = looked_for


class IndexFailed(IndexFailure):
    """An operation failed in Chroma."""


class IndexUnavailable(IndexFailure):
    """The index cannot be used until something outside it changes."""
