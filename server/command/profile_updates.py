"""`chargehand profiles update` and `undo`: show, confirm, write and revert changes of measured facts."""

import datetime as dt
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import anyio.to_thread
from rich.console import Console

from ...evaluation.profiling.findings import ProfileFindings
from ...profiles.errors import Superseded
from ...profiles.loading import load_catalogue
from ...profiles.overlay import FOLDER, FactChange, FactsVersion, add, newest, undo
from ...profiles.proposal import Proposal
from ...profiles.sifting import Sifted, sift, with_changes
from ...profiles.staleness import stale_facts
from ...tools.errors import BadArgument
from ...tools.guarding.text import plain
from ..data_folder import PROFILES_FOLDER
from ..surface.server_state import OpenServices
from ..wiring import utc_now
from .profile_diff import Line, diff, in_words
from .profile_sources import SOURCES, Read
from .question import agrees
from .reports import print_errors, print_json

_COLOURS = {"profile": "bold", "removed": "red", "added": "green", "evidence": "dim", "warning": "yellow"}
_MARKS = {"profile": "", "removed": "  - ", "added": "  + ", "evidence": "      ", "warning": "    ! "}

_MAX_ATTEMPTS = 20
"""Each concurrent update costs one attempt."""


@dataclass(frozen=True)
class Outlook:
    """The proposed changes, and the version that they are based on."""

    base: FactsVersion
    sifted: Sifted
    found: ProfileFindings
    folder: Path


async def update_profiles(open_services: OpenServices, sources: Sequence[str], *, apply: bool, as_json: bool) -> int:
    """Show what the sources propose, and write it once confirmed.

    apply: write without asking. Returns the exit code: 1 if a source could not be read, although the proposals of the
    others are shown.
    """
    if not sources:
        words = ", ".join(f"--from-{name}" for name in SOURCES)
        raise BadArgument(f"profiles update: name a source ({words} or --all), or use --check.")
    reads = [source.read for name, source in SOURCES.items() if name in sources]
    return await offer(open_services, reads, apply=apply, as_json=as_json)


async def offer(
    open_services: OpenServices,
    reads: Sequence[Read],
    *,
    apply: bool,
    as_json: bool,
    extra: Mapping[str, object] | None = None,
) -> int:
    """Show the proposals, and write them once confirmed. Returns the exit code, as `update_profiles` does.

    extra: further fields for the JSON.
    """
    for _ in range(_MAX_ATTEMPTS):
        outlook = await _look(open_services, reads)
        if not as_json:
            _show(outlook)
        kept = outlook.sifted.kept
        if apply:
            # --apply does not cover these: the user has not seen them.
            kept = tuple(proposal for proposal in kept if not proposal.needs_consent)
        if not kept or not (apply or _confirm_write(as_json=as_json)):
            return _report(outlook, None, as_json=as_json, extra=extra)
        try:
            written = await anyio.to_thread.run_sync(add, outlook.folder, outlook.base, kept, utc_now())
        except Superseded:
            _say("Another update was written meanwhile; recalculating what is left.", error=True)
            continue
        return _report(outlook, written, as_json=as_json, extra=extra)
    raise BadArgument(f"Another update came first {_MAX_ATTEMPTS} times. Run it again later.")


async def undo_update(open_services: OpenServices, *, as_json: bool) -> int:
    """Revert the last update, and print what it had changed. Returns the exit code."""
    async with open_services() as services:
        folder = _folder(services.ledger.path)
    undone = await anyio.to_thread.run_sync(undo, folder, utc_now())
    if as_json:
        print_json({"undone": undone.model_dump(mode="json")})
        return 0
    _say(f"Update {undone.number} of {undone.at:%Y-%m-%d %H:%M} UTC was undone:")
    for change in undone.changes:
        _say(f"  {change.profile}: {'.'.join(change.place) or 'the whole profile'}")
    return 0


def report_stale_profiles(today: dt.date | None, *, as_json: bool) -> int:
    """Print the stale facts in the shipped profiles. Returns 1 if there are any. today: None means today, UTC."""
    stale = stale_facts(load_catalogue(), today or utc_now().date())
    if as_json:
        print_json({"stale": stale})
        return 1 if stale else 0
    if not stale:
        _say("No shipped profile is stale.")
    return print_errors(stale)


async def _look(open_services: OpenServices, reads: Sequence[Read]) -> Outlook:
    async with open_services() as services:
        folder = _folder(services.ledger.path)
        # Read before the catalogue, so that an update in between is detected on writing.
        base = await anyio.to_thread.run_sync(newest, folder)
        catalogue = await anyio.to_thread.run_sync(load_catalogue, folder.parent)
        found: list[ProfileFindings] = []
        sifted = Sifted((), ())
        for read in reads:
            # Those that need consent may not be written, so nothing builds on them.
            settled = [proposal for proposal in sifted.kept if not proposal.needs_consent]
            found.append(await read(replace(services, profiles=with_changes(catalogue, settled))))
            sifted = sift(catalogue, [proposal for one in found for proposal in one.proposals])
    problems = [*map(str, catalogue.problems), *(problem for one in found for problem in one.problems)]
    return Outlook(
        base=base,
        sifted=sifted,
        found=ProfileFindings(
            problems=tuple(problems), notices=tuple(notice for one in found for notice in one.notices)
        ),
        folder=folder,
    )


def _folder(ledger: Path) -> Path:
    return ledger.parent / PROFILES_FOLDER / FOLDER


def _show(outlook: Outlook) -> None:
    for notice in outlook.found.notices:
        _say(plain(notice))
    for line in diff(outlook.sifted.kept):
        _print(line)
    for refused in outlook.sifted.refused:
        place = ".".join(refused.proposal.place) or "new"
        _say(f"Not proposed: {refused.proposal.profile} {place}: {plain(refused.why)}.")
    if not outlook.sifted.kept:
        _say("No change is proposed.")


def _report(
    outlook: Outlook, written: FactsVersion | None, *, as_json: bool, extra: Mapping[str, object] | None
) -> int:
    kept, problems = outlook.sifted.kept, outlook.found.problems
    if as_json:
        print_json(
            {
                **(extra or {}),
                "proposals": [_facts(proposal) for proposal in kept],
                "refused": [{**_facts(r.proposal), "why": r.why} for r in outlook.sifted.refused],
                "notices": outlook.found.notices,
                "problems": problems,
                "written": None if written is None else written.number,
            }
        )
    elif written is not None:
        _say(f"Written as update {written.number}. `chargehand profiles undo` reverts it.")
    elif kept:
        # Changes that need consent are covered by the next message.
        _say("Nothing is written." if all(p.needs_consent for p in kept) else "Nothing is written. --apply writes it.")
    if any(proposal.needs_consent for proposal in kept) and not as_json:
        _say("Sweeping or doubtful changes are written only after you agree on a terminal, without --apply.")
    return print_errors([plain(problem) for problem in problems])


def _facts(proposal: Proposal) -> dict[str, object]:
    return {**FactChange.of(proposal).model_dump(mode="json"), "evidence_in_words": in_words(proposal.evidence)}


def _confirm_write(*, as_json: bool) -> bool:
    return not as_json and sys.stdin.isatty() and agrees("Write these changes?")


def _print(line: Line) -> None:
    Console().print(
        _MARKS[line.kind] + line.text, style=_COLOURS[line.kind], markup=False, highlight=False, soft_wrap=True
    )


def _say(text: str, *, error: bool = False) -> None:
    Console(stderr=error).print(text, markup=False, highlight=False, soft_wrap=True)
