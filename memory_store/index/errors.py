"""What can go wrong with the index; none of it reaches a caller of the keeper.

IndexFailure
├── IndexDamaged      what lies there is not what was put there: throw it away and build anew
├── IndexFailed       one piece of work failed: open again, look whether it is whole
└── IndexUnavailable  it cannot be used for now: the message says what to do
"""


class IndexFailure(Exception):
    """Something that keeps the index from answering."""


class IndexDamaged(IndexFailure):
    """The index must be built anew."""


class IndexFailed(IndexFailure):
    """Chroma did not do what it was asked to."""


class IndexUnavailable(IndexFailure):
    """The index cannot be used until something outside of it changes."""
