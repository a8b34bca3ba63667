"""Decides whether a task may leave the machine: which texts keep it here, why, and which secrets are redacted.

It examines texts before they enter prompts; a task that must stay is local-only from then on, and so is
everything derived from it. It does not protect against text that the host itself has read and rephrases.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import anyio.to_thread

from .local_paths import LocalPaths
from .secrets import SecretSearch
from .text import hidden_in

OnSecret = Literal["local", "redact"]

_SHOWN = 5
_AT_ONCE_CHARACTERS = 1_000
"""Searched in 0.2 ms, about the cost of a round trip to a worker thread."""


@dataclass(frozen=True)
class Privacy:
    """The user's settings for text that must stay on the machine."""

    local_paths: LocalPaths = field(default_factory=LocalPaths)
    secrets: SecretSearch = field(default_factory=SecretSearch)
    on_secret: OnSecret = "local"  # noqa: S105 - an enumeration value, not a password
    """local: a task that contains a secret stays here. redact: it may leave, without the secret."""

    @property
    def replaces_secrets(self) -> bool:
        return self.on_secret != "local"  # noqa: S105 - see above


@dataclass(frozen=True)
class Passage:
    """One text that a model would be shown."""

    place: str
    """Its origin, for messages: a path or an argument."""
    text: str
    path: Path | None = None
    """Its file, absolute. None: it does not come from a file."""


@dataclass(frozen=True)
class Reason:
    """One thing that keeps a task on the machine."""

    kind: Literal["path", "secret"]
    text: str
    """For display only."""


@dataclass(frozen=True)
class Examination:
    """The result of examining the texts of a task."""

    reasons: tuple[Reason, ...] = ()
    """Why it must stay on the machine. Empty: it may leave."""
    replaced: tuple[str, ...] = ()
    """The secrets that will be replaced before anything is sent."""
    hidden: tuple[str, ...] = ()
    """The texts that contain invisible characters."""

    @property
    def must_stay_local(self) -> bool:
        return bool(self.reasons)

    @property
    def remedy(self) -> str | None:
        """What a user without a local model can do. None: the task may leave."""
        if not self.reasons:
            return None
        holds_secret = any(reason.kind == "secret" for reason in self.reasons)
        return HOW_TO_LEAVE if holds_secret else _HOW_TO_STAY

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes for the receipt."""
        notes: list[str] = []
        if self.reasons:
            notes.append(f"{STAYS_LOCAL} {_listed([reason.text for reason in self.reasons])}.")
        if self.replaced:
            notes.append(f"Replaced by placeholders in what leaves this machine: {_listed(self.replaced)}.")
        if self.hidden:
            notes.append(
                f"Invisible characters were removed from what models see, so new code has none: {_listed(self.hidden)}."
            )
        return tuple(notes)


STAYS_LOCAL = "This task stays on this machine:"

_HOW_TO_STAY = (
    "Install a local model (`chargehand doctor` says how), leave the file out, or remove its path from [privacy]"
    " local_only in Chargehand's config."
)
HOW_TO_LEAVE = (
    "Install a local model (`chargehand doctor` says how), remove the secret, or set"
    ' [privacy] on_secret = "redact" in Chargehand\'s config.'
)


async def examine(
    privacy: Privacy, passages: Sequence[Passage], roots: Sequence[Path], paths: Sequence[Path] = ()
) -> Examination:
    """Examine all texts of a task before they are processed.

    paths: absolute paths of files whose text a check may print; only their location counts.
    """
    looks_at_files = bool(paths) or (privacy.local_paths.patterns and any(passage.path for passage in passages))
    if sum(len(passage.text) for passage in passages) <= _AT_ONCE_CHARACTERS and not looks_at_files:
        return _examine(privacy, passages, roots, paths)
    return await anyio.to_thread.run_sync(_examine, privacy, passages, roots, paths)


def _examine(
    privacy: Privacy, passages: Sequence[Passage], roots: Sequence[Path], paths: Sequence[Path]
) -> Examination:
    reasons: list[Reason] = []
    secrets: list[str] = []
    places = [(p.place, p.path) for p in passages if p.path] + [(str(path), path) for path in paths]
    kept = dict(privacy.local_paths.local_files([path for _, path in places], roots))
    for place, path in places:
        if (why := kept.get(path)) is not None:
            also = "" if why.name == path else f"is a hard link to {why.name}, which "
            reasons.append(Reason("path", f"{place} {also}lies under [privacy] local_only ({why.pattern})"))
    for passage in passages:
        secrets += [
            f"{passage.place}:{secret.line} holds what looks like a secret ({secret.kind})"
            for secret in privacy.secrets.find(passage.text)
        ]
    hidden = [
        f"{passage.place}:{found.line} ({found.count})" for passage in passages if (found := hidden_in(passage.text))
    ]
    if privacy.replaces_secrets:
        return Examination(tuple(reasons), tuple(secrets), tuple(hidden))
    return Examination((*reasons, *(Reason("secret", description) for description in secrets)), (), tuple(hidden))


def _listed(findings: Sequence[str]) -> str:
    more = len(findings) - _SHOWN
    return "; ".join(findings[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
