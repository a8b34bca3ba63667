"""Detects processes that outlive their parent by making this process adopt them. Linux only."""

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
    """Detects processes orphaned since it began."""

    children_before: frozenset[int]

    def orphans(self, own: Collection[int]) -> list[str]:
        """Running orphans, as id and command. own: ids of this process's own children.

        Orphans that have ended are reaped.
        """
        found = list[str]()
        for pid, state in _children(os.getpid()).items():
            if pid in own or pid in self.children_before:
                continue
            if state == "Z":
                with contextlib.suppress(ChildProcessError):  # already reaped elsewhere in this process
                    os.waitpid(pid, os.WNOHANG)
                continue
            if command := _command(pid):  # a process without a command line is exiting
                found.append(f"{pid} {command[:200]}")
        return found

    def end(self, own: Collection[int]) -> None:
        """Kill all orphans."""
        for orphan in self.orphans(own):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(orphan.split()[0]), signal.SIGKILL)


@contextlib.contextmanager
def adopting() -> Generator[Adoption]:
    """Make this process adopt its orphaned descendants while the block runs."""
    _adopt(True)
    try:
        yield Adoption(frozenset(_children(os.getpid())))
    finally:
        _adopt(False)


def commands_below(parent: int) -> list[str]:
    """The command lines of a process's running children."""
    return [command for pid in _children(parent) if (command := _command(pid)) is not None]


def _adopt(wanted: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this kernel does not support child subreapers")


def _command(pid: int) -> str | None:
    """The command line; empty while the process exits. None: it has ended."""
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None


def _children(of: int) -> dict[int, str]:
    """State by id of a process's children, zombies (`Z`) included."""
    found: dict[int, str] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # The name may contain anything, even brackets; state and parent follow the last one: proc(5).
            state, parent = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it has ended meanwhile
        if int(parent) == of:
            found[int(process.name)] = state
    return found
