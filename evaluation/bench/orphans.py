"""Processes that outlive whoever started them, seen because they become children of this process. Linux only.

What it does not see: a process that changes its own parent, which Linux lets nobody do.
"""

import contextlib
import ctypes
import os
import signal
from collections.abc import Collection, Generator
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
"""<linux/prctl.h>, prctl(2), seen 2026-11-25."""


@dataclass(frozen=True)
class Adoption:
    """Sees who was orphaned since it began."""

    children_before: frozenset[int]

    def orphans(self, own: Collection[int]) -> list[str]:
        """Living processes without a parent of their own, each with its command. own: ids that this process started.

        Those that have ended meanwhile are cleared away.
        """
        found = list[str]()
        for pid, state in _children(os.getpid()).items():
            if pid in own or pid in self.children_before:
                continue
            if state == "Z":
                with contextlib.suppress(ChildProcessError):  # somebody else here has cleared it away
                    os.waitpid(pid, os.WNOHANG)
                continue
            if command := _command(pid):  # one without has given its memory back, and is ending
                found.append(f"{pid} {command[:200]}")
        return found

    def end(self, own: Collection[int]) -> None:
        """Kill the orphans."""
        for orphan in self.orphans(own):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(orphan.split()[0]), signal.SIGKILL)


@contextlib.contextmanager
def adopting() -> Generator[Adoption]:
    """Orphans below this process become its children for as long as the block runs."""
    _adopt(True)
    try:
        yield Adoption(frozenset(_children(os.getpid())))
    finally:
        _adopt(False)


def commands_below(parent: int) -> list[str]:
    """The command lines of the processes that one has started and that still run."""
    return [command for pid in _children(parent) if (command := _command(pid)) is not None]


def _adopt(wanted: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this kernel gives orphans to nobody")


def _command(pid: int) -> str | None:
    """None: it has ended meanwhile."""
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None


def _children(of: int) -> dict[int, str]:
    """The processes whose parent this is, each with its state, `Z` for one that has ended."""
    found: dict[int, str] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # The name before the last bracket may hold anything; after it come state and parent: proc(5).
            state, parent = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it has ended meanwhile
        if int(parent) == of:
            found[int(process.name)] = state
    return found
