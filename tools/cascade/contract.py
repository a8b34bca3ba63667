"""The limits and requirements that a caller sets for one delegation."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...memory_store.records import Origin
from ..checking.tests_given import TestsGiven
from ..editing.change import PlannedChanges
from ..editing.prompt import Changing
from ..vocabulary import DEFAULT_MAX_ATTEMPTS, DEFAULT_MAX_SECONDS

if TYPE_CHECKING:
    from ..checking.command_check import CommandCheck


@dataclass(frozen=True)
class Contract:
    tests: TestsGiven | None = None
    """None, and no commands: nothing is executed, so the result is at best unverified."""
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
    """Plans the answer's changes to files, which are checked in a copy. None: the answer is standalone code."""
    applies: bool = False
    """Whether the change is written to the files if the status allows it. Only with `changes`."""
    notes: tuple[str, ...] = ()
    """The receipt's first notes, such as why the task stays on this machine."""
    remedy: str | None = None
    """What the caller can do if no model on this machine can be asked. None: nothing in its texts keeps it here."""
    origin: Origin = "use"
    """Work of origin `evaluation` is recorded in the ledger, but not remembered as the user's."""
    shows_tests: bool = True
    """Whether the model sees the tests that its answer must pass. Tests in files are never shown."""
    private_output: str | None = None
    """Why the output of the checks must not leave the machine. None: it may."""

    @property
    def changing(self) -> Changing | None:
        """For the prompt, that the answer should change files. None: it is standalone code."""
        return None if self.changes is None else Changing(self.changes.workspace.target)

    @property
    def asks_for_a_check(self) -> bool:
        return self.tests is not None or bool(self.commands)
