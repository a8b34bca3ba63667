"""Runs `chargehand` commands as a user does, and gives their exit code and output."""

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
class CommandResult:
    """The exit code and the output of a command."""

    code: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def proposed(self) -> dict[tuple[str, ...], Any]:
        """The values that `profiles update` proposes, by profile id and keys."""
        return {(p["profile"], *p["place"]): p["after"] for p in self.json["proposals"]}


async def run_command(
    environment: Mapping[str, str], *arguments: str | bytes, folder: Path | None = None, **stdin: Any
) -> CommandResult:
    """Run `chargehand` as a process, in `folder` or else in the home folder.

    A fresh Python is started where its start-up matters (standard input, locale, `PYTHON…` variables), and on other
    systems than Linux; otherwise the command runs in a fork of a process that has imported the product.
    """
    working_folder = folder or Path(environment["HOME"])
    is_about_the_start = stdin or any(_READ_AT_THE_START.match(name) for name in environment)
    with anyio.fail_after(120):
        if sys.platform == "linux" and not is_about_the_start:
            return await _run_in_a_fork(environment, [os.fsencode(argument) for argument in arguments], working_folder)
        process = await anyio.run_process(
            [*COMMAND, *arguments], check=False, env=environment, cwd=working_folder, **stdin
        )
    return CommandResult(process.returncode, process.stdout.decode(), process.stderr.decode())


_READ_AT_THE_START = re.compile("PYTHON|LC_|LANG$")


@cache
def _prepared_process() -> socket.socket:
    """Starts `prepared.py` once for all tests of this process; it ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen([sys.executable, Path(__file__).with_name("prepared.py")], stdin=theirs, env={})
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


async def _run_in_a_fork(environment: Mapping[str, str], arguments: Sequence[bytes], folder: Path) -> CommandResult:
    job = {
        "environment": dict(environment),
        "folder": str(folder),
        "arguments": [argument.hex() for argument in arguments],
    }
    read_end, write_end = os.pipe()
    with (
        os.fdopen(read_end) as answers,
        os.fdopen(write_end, "w") as reply_pipe,
        tempfile.TemporaryFile() as empty,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as error,
    ):
        files = [file.fileno() for file in (empty, out, error, reply_pipe)]
        socket.send_fds(_prepared_process(), [json.dumps(job).encode()], files)
        reply_pipe.close()
        command = int(await anyio.to_thread.run_sync(answers.readline))
        try:
            status = int(await anyio.to_thread.run_sync(answers.readline, abandon_on_cancel=True))
        except BaseException:
            os.kill(command, signal.SIGKILL)
            raise
        out.seek(0)
        error.seek(0)
        return CommandResult(os.waitstatus_to_exitcode(status), out.read().decode(), error.read().decode())


class Terminal(io.StringIO):
    """A terminal as standard input, with a typed answer; a leading `\\x03` is Ctrl-C."""

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:
        line = super().readline(size)
        if line.startswith("\x03"):
            signal.raise_signal(signal.SIGINT)
        return line.lstrip("\x03")


def standard_input(answer: str | None) -> io.StringIO:
    """A terminal at which the answer is typed; None: empty input that is not a terminal."""
    return io.StringIO() if answer is None else Terminal(answer)
