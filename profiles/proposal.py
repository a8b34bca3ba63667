"""Proposed changes to measured or announced facts in profiles, with their evidence."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Literal

Fact = str | int | float | bool | None | list["Fact"] | dict[str, "Fact"]
"""A YAML value."""


@dataclass(frozen=True)
class Evidence:
    origin: Literal["evaluation", "usage", "releases", "trial"]
    source: str
    """Where it was read or measured: `evaluation 3f2a…`, `Anthropic models.list`, `Ollama show`."""
    seen: dt.date
    n: int | None = None
    """Number of outcomes it is based on. None: not based on counting."""
    interval: tuple[float, float] | None = None
    """95% interval of the value. None: not an estimate."""
    note: str | None = None
    """The evidence in one sentence, for display."""


@dataclass(frozen=True)
class Proposal:
    profile: str
    """Profile id, also of a new profile."""
    place: tuple[str, ...]
    """Path to the fact: ("lifecycle", "retires_on"). Empty: the whole profile, which is new."""
    before: Fact
    """The current value; None when there is none."""
    after: Fact
    evidence: Evidence
    warnings: tuple[str, ...] = field(default=())
    """Shown to the user who decides on it."""
    needs_consent: bool = False
    """True: too sweeping or doubtful to apply unseen; the user must confirm it even if all were approved in advance."""
