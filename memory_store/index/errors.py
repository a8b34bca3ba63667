"""What can go wrong with the index; none of it reaches a caller of the keeper.

IndexFailure
├── IndexDamaged      what lies there is not what was put there: throw it away and build anew
│   └── NotFindable   it does not find what is in it; where it was just built, that is its way
├── IndexFailed       one piece of work failed: open again, look whether it is whole
└── IndexUnavailable  it cannot be used for now: the message says what to do
"""


class IndexFailure(Exception):
    """Something that keeps the index from answering."""


class IndexDamaged(IndexFailure):
    """The index must be built anew."""


class NotFindable(IndexDamaged):
    """The index misses vectors that are in it."""

    def __init__(self, misses: int, looked_for: int) -> None:
        super().__init__(f"{misses} of {looked_for} vectors in it are not found")
        self.misses = misses
        self.looked_for = looked_for


class IndexFailed(IndexFailure):
    """Chroma did not do what it was asked to."""


class IndexUnavailable(IndexFailure):
    """The index cannot be used until something outside of it changes."""
