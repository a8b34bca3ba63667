"""A change of one fact of one profile that was measured or announced, with what speaks for it."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Literal

Fact = str | int | float | bool | None | list["Fact"] | dict[str, "Fact"]
"""A value as YAML has it."""


@dataclass(frozen=True)
class Evidence:
    origin: Literal["evaluation", "usage", "releases", "trial"]
    source: str
    """Where it was read or measured: `evaluation 3f2a…`, `Anthropic models.list`, `Ollama show`."""
    seen: dt.date
    n: int | None = None
    """How many outcomes it rests on. None: it is no count."""
    interval: tuple[float, float] | None = None
    """95% interval of the figure. None: it is no estimate."""
    note: str | None = None
    """The evidence in one sentence for people."""


@dataclass(frozen=True)
class Proposal:
    profile: str
    """Profile id; of a new one too."""
    place: tuple[str, ...]
    """The fact, as keys from the top: ("lifecycle", "retires_on"). Empty: the whole profile, which is new."""
    before: Fact
    """What stands there now; None when nothing does."""
    after: Fact
    evidence: Evidence
    warnings: tuple[str, ...] = field(default=())
    """What whoever agrees to it ought to know."""
    needs_consent: bool = False
    """True: it is so sweeping or doubtful that a person must have seen it, whatever was agreed to beforehand."""
