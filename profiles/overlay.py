"""Measured facts written by commands, in numbered files; the newest is in effect.

Each file holds all measured facts and the changes of its update, and is never modified: every update or undo
adds the next number. Files are created atomically and only one writer can create a number, so concurrent updates
are serialized, and a crash at any moment leaves either the old facts or the new ones.
There is no protection against anyone with write access to the folder.
"""

import contextlib
import datetime as dt
import hashlib
import os
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from .durable_files import sync, write_and_sync
from .errors import NothingToUndo, OverlayError, Superseded
from .proposal import Proposal
from .validation import first_problem
from .yaml_text import parse_yaml

FOLDER = "measured"
"""A subfolder of the user's profiles."""

_HEAD = (
    "# Written by `chargehand profiles update`, reverted by `chargehand profiles undo`. Your own facts belong in"
    " ../NAME.yaml,\n# where they win over these. sha256 of what follows: {digest}\n"
)
_DIGEST = re.compile(r"\A#.*\n#.*: ([0-9a-f]{64})\n")
_NAME = re.compile(r"(\d{4,9})\.yaml")
_ABANDONED_AFTER_S = 3600.0
"""Unfinished files older than this are abandoned."""


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FactChange(_Group):
    """One fact that an update changed, with its evidence; the fields are those of `Proposal`."""

    profile: str
    place: tuple[str, ...]
    before: Any
    """Any YAML value, hence Any; so is `after`."""
    after: Any
    evidence: dict[str, Any]
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, proposal: Proposal) -> "FactChange":
        """A proposal as a recorded change, without `needs_consent`."""
        return cls(**{name: value for name, value in asdict(proposal).items() if name in cls.model_fields})


class FactsVersion(_Group):
    """All measured facts after one update."""

    number: int
    """From 1; 0 before the first update."""
    at: dt.datetime
    undoes: int | None = None
    """Number of the update that this one reverts."""
    changes: tuple[FactChange, ...] = ()
    facts: dict[str, dict[str, Any]] = {}
    """By profile id, structured as in a profile's YAML."""


NO_UPDATES = FactsVersion(number=0, at=dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
"""The state before the first update."""


@dataclass(frozen=True)
class InForce:
    facts: Mapping[str, Mapping[str, Any]]
    problems: tuple[str, ...]
    """Errors in newer files or in the folder."""


def facts_in_force(folder: Path) -> InForce:
    """The newest readable facts. Never raises: routing must work even when a file is broken."""
    problems: list[str] = []
    try:
        numbers = _numbers(folder)
    except OverlayError as error:
        return InForce({}, (str(error),))
    for number in reversed(numbers):
        try:
            version, is_unmodified = _read(folder, number)
        except OverlayError as error:
            problems.append(f"{error} Until then the facts before it are in force.")
            continue
        if not is_unmodified:
            problems.append(f"{_modified_message(folder, number)} Its facts are in force.")
        return InForce(version.facts, tuple(problems))
    return InForce({}, tuple(problems))


def newest(folder: Path) -> FactsVersion:
    """The base of the next update. Raises OverlayError when the newest file is broken or was edited by hand."""
    numbers = _numbers(folder)
    return _read_unmodified(folder, numbers[-1]) if numbers else NO_UPDATES


def add(folder: Path, base: FactsVersion, proposals: Sequence[Proposal], at: dt.datetime) -> FactsVersion:
    """Write a new version with all proposals applied, atomically.

    base: the version the proposals were based on. Raises Superseded when it is no longer the newest, or OverlayError.
    """
    facts: dict[str, dict[str, Any]] = {name: dict(group) for name, group in base.facts.items()}
    for proposal in proposals:
        facts[proposal.profile] = {"id": proposal.profile, **apply_proposal(facts.get(proposal.profile, {}), proposal)}
    changes = tuple(map(FactChange.of, proposals))
    return _publish(folder, FactsVersion(number=base.number + 1, at=at, changes=changes, facts=facts))


def apply_proposal(facts: Mapping[str, Any], proposal: Proposal) -> dict[str, Any]:
    """A profile's facts, structured as in YAML, with the proposal applied."""
    if not proposal.place:
        return dict(cast(dict[str, Any], proposal.after))
    return _with(facts, proposal.place, proposal.after)


def to_undo(folder: Path) -> FactsVersion:
    """The last update not yet reverted. Raises NothingToUndo, or OverlayError when a file was edited by hand."""
    reverted_updates: set[int] = set()
    for number in reversed(_numbers(folder)):
        version = _read_unmodified(folder, number)
        if version.undoes is not None:
            reverted_updates.add(version.undoes)
        elif number not in reverted_updates:
            return version
    raise NothingToUndo(f"{folder}: no update is in force, so there is nothing to revert.")


def undo(folder: Path, at: dt.datetime) -> FactsVersion:
    """Revert the last update and return it. Raises as `to_undo`, or Superseded when another was written first."""
    base, reverted = newest(folder), to_undo(folder)
    before = _read_unmodified(folder, reverted.number - 1) if reverted.number > 1 else NO_UPDATES
    _publish(folder, FactsVersion(number=base.number + 1, at=at, undoes=reverted.number, facts=before.facts))
    return reverted


def _with(facts: Mapping[str, Any], place: tuple[str, ...], value: object) -> dict[str, Any]:
    key, *rest = place
    if not rest:
        return {**facts, key: value}
    below: object = facts.get(key)
    group = cast(dict[str, Any], below) if isinstance(below, dict) else {}
    return {**facts, key: _with(group, tuple(rest), value)}


def _numbers(folder: Path) -> list[int]:
    try:
        if not folder.exists():
            return []
        return sorted(int(match[1]) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name)))
    except OSError as error:
        raise OverlayError(f"{folder}: cannot be listed ({error}). Make it a readable folder.") from error


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:04d}.yaml"


def _read_unmodified(folder: Path, number: int) -> FactsVersion:
    version, is_unmodified = _read(folder, number)
    if not is_unmodified:
        raise OverlayError(_modified_message(folder, number))
    return version


def _modified_message(folder: Path, number: int) -> str:
    path = _path(folder, number)
    return (
        f"{path}: was changed since it was written, so it is not overwritten. Move what you changed into a file"
        f" of your own in {folder.parent}, and undo the change or remove {path.name}."
    )


def _read(folder: Path, number: int) -> tuple[FactsVersion, bool]:
    """The version with this number, and whether its file is unmodified since it was written."""
    path = _path(folder, number)
    remedy = f"Fix or remove it: then the previous update applies. {folder.parent} holds your own files."
    try:
        text = path.read_bytes().decode("utf-8")
        version = FactsVersion.model_validate(parse_yaml(text))
    except OSError as error:
        raise OverlayError(f"{path}: cannot be read ({error}). Make it readable, or remove it.") from error
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise OverlayError(f"{path}: not YAML ({' '.join(str(error).split())[:160]}). {remedy}") from error
    except ValidationError as error:
        raise OverlayError(f"{path}: {first_problem(error, 'the file as a whole')}. {remedy}") from error
    if version.number != number:
        raise OverlayError(f"{path}: number: is {version.number}, and the name says {number}. {remedy}")
    written = _DIGEST.match(text)
    is_unmodified = written is not None and written[1] == _digest(text[written.end() :])
    return version, is_unmodified


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _publish(folder: Path, version: FactsVersion) -> FactsVersion:
    body = yaml.safe_dump(version.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
    text = _HEAD.format(digest=_digest(body)) + body
    target = _path(folder, version.number)
    unfinished = folder / f".{version.number:04d}.{secrets.token_hex(8)}.unfinished"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_abandoned(folder)
        try:
            write_and_sync(unfinished, text.encode())
            # Fails if another process created the file first; a plain rename would overwrite it.
            if os.name == "nt":
                unfinished.rename(target)
            else:
                os.link(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)
        sync(folder)
    except FileExistsError as error:
        raise Superseded(
            f"{target}: another update was written meanwhile. Run the command again to see what is left."
        ) from error
    except OSError as error:
        raise OverlayError(
            f"{folder}: measured facts cannot be written ({error}). Make the folder writable, on a disk of this machine"
            " that is not full, or set CHARGEHAND_HOME to another folder."
        ) from error
    return version


def _remove_abandoned(folder: Path) -> None:
    """Remove unfinished files of killed writers."""
    for path in folder.glob(".*.unfinished"):
        with contextlib.suppress(OSError):  # finished, or removed by another process
            if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S:
                path.unlink()
