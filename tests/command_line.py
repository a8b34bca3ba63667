"""A command as a person types it, and what comes of it."""

import atexit
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
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
    """Run `chargehand` as a process, in `folder` or else at home.

    Where the start of Python matters (its standard streams, its locale, its own variables), it is started; else it is
    a fork of a process that has imported the product.
    """
    place = folder or Path(environment["HOME"])
    is_about_the_start = stdin or any(_READ_AT_THE_START.match(name) for name in environment)
    with anyio.fail_after(120):
        if sys.platform == "linux" and not is_about_the_start:
            return await _run_in_a_fork(environment, [os.fsencode(argument) for argument in arguments], place)
        done = await anyio.run_process([*COMMAND, *arguments], check=False, env=environment, cwd=place, **stdin)
    return Typed(done.returncode, done.stdout.decode(), done.stderr.decode())


_READ_AT_THE_START = re.compile("PYTHON|LC_|LANG$")


@cache
def _prepared() -> socket.socket:
    """Starts `prepared.py`, once for all tests of this process, and ends it with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen([sys.executable, Path(__file__).with_name("prepared.py")], stdin=theirs, env={})
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


async def _run_in_a_fork(environment: Mapping[str, str], arguments: Sequence[bytes], folder: Path) -> Typed:
    job = {"environment": dict(environment), "folder": str(folder), "arguments": [one.hex() for one in arguments]}
    reading, writing = os.pipe()
    with (
        os.fdopen(reading) as answers,
        os.fdopen(writing, "w") as to_answer,
        tempfile.TemporaryFile() as nothing,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as error,
    ):
        files = [file.fileno() for file in (nothing, out, error, to_answer)]
        socket.send_fds(_prepared(), [json.dumps(job).encode()], files)
        to_answer.close()
        command = int(await anyio.to_thread.run_sync(answers.readline))
        try:
            status = int(await anyio.to_thread.run_sync(answers.readline, abandon_on_cancel=True))
        except BaseException:
            os.kill(command, signal.SIGKILL)
            raise
        out.seek(0)
        error.seek(0)
        return Typed(os.waitstatus_to_exitcode(status), out.read().decode(), error.read().decode())


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
