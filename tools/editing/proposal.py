"""What an answer makes of the files that it speaks of."""

from collections.abc import Mapping
from dataclasses import dataclass

from .answer import Answer


@dataclass(frozen=True)
class Proposal:
    texts: Mapping[str, str]
    """Path as the caller named it (a new file's relative to the first root) to its whole new text, with \\n."""
    failures: tuple[str, ...] = ()
    """What could not be placed, for the model to act on; with any nothing is applied."""
    notes: tuple[str, ...] = ()
    """What of the answer was left out on purpose, for the receipt."""


def propose(answer: Answer, current: Mapping[str, str], target: str | None) -> Proposal:
    """The new text of each file. target: the file that a whole answer without a path is."""
    target = target or next(iter(current), None)
    if target is None:
        return Proposal({}, ("The answer names no file: put its path behind the language of its fence.",))
    return Proposal({target: answer.code})
