"""A command as a person types it, and what comes of it."""

import io
import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from server_process import COMMAND


@dataclass(frozen=True)
class Typed:
    """What a typed command ended with and wrote."""

    code: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def proposed(self) -> dict[tuple[str, ...], Any]:
        """What `profiles update` proposes for each place, by profile and keys."""
        return {(p["profile"], *p["place"]): p["after"] for p in self.json["proposals"]}


async def run_command(
    environment: Mapping[str, str], *arguments: str | bytes, folder: Path | None = None, **stdin: Any
) -> Typed:
    """Run `chargehand` as a process of its own, in `folder` or else at home."""
    with anyio.fail_after(120):
        done = await anyio.run_process(
            [*COMMAND, *arguments], check=False, env=environment, cwd=folder or environment["HOME"], **stdin
        )
    return Typed(done.returncode, done.stdout.decode(), done.stderr.decode())


class Terminal(io.StringIO):
    """A standard input at which somebody types an answer; `\\x03` before it is Ctrl-C, which ends the question."""

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:
        line = super().readline(size)
        if line.startswith("\x03"):
            signal.raise_signal(signal.SIGINT)
        return line.lstrip("\x03")


def standard_input(answer: str | None) -> io.StringIO:
    """A terminal at which the answer is typed; None: no terminal, and nothing to read."""
    return io.StringIO() if answer is None else Terminal(answer)
