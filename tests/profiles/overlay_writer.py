"""Writes measured facts, in the test process or as `overlay_writer.py FOLDER COMMAND NAME [STEP]`.

With a STEP it kills itself with SIGKILL just before its STEPth file operation in the folder.
"""

import datetime as dt
import os
import signal
import sys
from pathlib import Path

from chargehand.profiles.errors import Superseded
from chargehand.profiles.overlay import add, newest, undo
from chargehand.profiles.proposal import Evidence, Proposal

NOW = dt.datetime(2026, 11, 25, 12, 0, tzinfo=dt.UTC)
FILE_EVENTS = ("open", "os.mkdir", "os.link", "os.remove", "os.rename", "os.listdir", "os.scandir")


def proposals(name: str) -> list[Proposal]:
    """The same value for two profiles; the two must never differ."""
    evidence = Evidence("usage", "usage here", NOW.date(), n=12, interval=(0.5, 0.9))
    figure = len(name) + int("".join(filter(str.isdigit, name)) or 0)
    return [Proposal(profile, ("context_tokens",), None, figure, evidence) for profile in ("model-a", "model-b")]


def update(folder: Path, name: str) -> None:
    """Add one update of this writer; retries when another writer comes first."""
    while True:
        base = newest(folder)
        mark = Proposal(name, ("context_tokens",), None, base.number, Evidence("usage", "usage here", NOW.date()))
        try:
            add(folder, base, [*proposals(f"{name}{base.number}"), mark], NOW)
        except Superseded:
            continue
        return


def main(folder: Path, command: str, name: str, *step: str) -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    if step:
        _kill_before(folder, int(step[0]))
    if command == "undo":
        undo(folder, NOW)
    else:
        for number in range(1 if step else int(command)):
            update(folder, f"{name}-{number}")
    sys.stdout.write("done\n")


def _kill_before(folder: Path, step: int) -> None:
    count = 0

    def observe(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event in FILE_EVENTS and any(str(folder) in str(a) for a in arguments):
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(observe)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
