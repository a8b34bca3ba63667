"""What a caller allows one delegation to take, and asks of its result."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...memory_store.records import Origin
from ..checking.answer_checks import TestsGiven
from ..editing.change import PlannedChanges
from ..editing.prompt import Changing
from ..vocabulary import DEFAULT_MAX_ATTEMPTS, DEFAULT_MAX_SECONDS

if TYPE_CHECKING:
    from ..checking.command_check import CommandCheck


@dataclass(frozen=True)
class Contract:
    tests: TestsGiven | None = None
    """None, and no commands: nothing can be executed, so the result is at best unverified."""
    model: str | None = None
    """A pin: used or refused, never replaced. None: the selector decides."""
    local_only: bool = False
    max_cost_usd: float | None = None
    """US dollars for all attempts. None: only the day's budget limits it."""
    max_seconds: float = DEFAULT_MAX_SECONDS
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    commands: "tuple[CommandCheck, ...]" = ()
    """The user's own checks that must pass too."""
    changes: PlannedChanges | None = None
    """Of the files that the answer changes, which then happens in a copy first. None: it is code by itself."""
    applies: bool = False
    """Whether the change is written into the files once it may be. Only with `changes`."""
    notes: tuple[str, ...] = ()
    """What the receipt begins with, such as why the task stays on this machine."""
    remedy: str | None = None
    """What the caller can do when no model on this machine can be asked. None: nothing in its texts keeps it here."""
    origin: Origin = "use"
    """What is done for an evaluation is booked, and not remembered as somebody's work."""
    shows_tests: bool = True
    """Whether the model sees the tests that its answer must pass. Never those that lie in files."""
    private_output: str | None = None
    """Why what the checks print may not leave. None: it may."""

    @property
    def changing(self) -> Changing | None:
        """That the answer is to change files. None: it is code by itself."""
        return None if self.changes is None else Changing(self.changes.workspace.target)

    @property
    def asks_for_a_check(self) -> bool:
        return self.tests is not None or bool(self.commands)
