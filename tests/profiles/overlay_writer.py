"""Writes measured facts as a process of its own: `overlay_writer.py FOLDER COMMAND NAME [STEP]`, run by the tests.

With a STEP it kills itself with SIGKILL before the so-manyth thing that it does to a file of the folder.
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
TOUCHING = ("open", "os.mkdir", "os.link", "os.remove", "os.rename", "os.listdir", "os.scandir")


def proposals(name: str) -> list[Proposal]:
    """The same figure for two profiles: they must never differ."""
    evidence = Evidence("usage", "usage here", NOW.date(), n=12, interval=(0.5, 0.9))
    figure = len(name) + int("".join(filter(str.isdigit, name)) or 0)
    return [Proposal(profile, ("context_tokens",), None, figure, evidence) for profile in ("model-a", "model-b")]


def update(folder: Path, name: str) -> None:
    """One more mark of this writer, whoever else writes meanwhile."""
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
        _die_at(folder, int(step[0]))
    if command == "undo":
        undo(folder, NOW)
    else:
        for number in range(1 if step else int(command)):
            update(folder, f"{name}-{number}")
    sys.stdout.write("done\n")


def _die_at(folder: Path, step: int) -> None:
    done = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal done
        if event in TOUCHING and any(str(folder) in str(a) for a in arguments):
            done += 1
            if done == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
