import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio.to_thread
import pytest

from chargehand.tools.checking.probe import escape
from chargehand.tools.checking.sandbox import Sandbox, SandboxFailed, SandboxRun

pytestmark = pytest.mark.anyio


class Reporting:
    """A backend whose probe reports what the test says, as if that had been reached."""

    name = "reporting"
    python = ("python",)

    def __init__(self, report: dict[str, object], exit_code: int = 0) -> None:
        self._run = SandboxRun(exit_code, "", json.dumps(report).encode() if report else b"", 0.1)

    async def run(self, *_: object, **__: object) -> SandboxRun:
        return self._run


class Unsandboxed(Reporting):
    """What must never pass: a backend that starts the command as it is."""

    python = (sys.executable, "-I")

    def __init__(self) -> None:
        super().__init__({})

    async def run(self, command: Sequence[str], *_: object, read_only: Mapping[str, Path], **__: object) -> SandboxRun:
        real = [str(read_only.get(word, word)) for word in command]
        become = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"
        here, there = os.pipe()
        try:
            done = await anyio.to_thread.run_sync(
                lambda: subprocess.run(
                    [sys.executable, "-c", become, str(there), *real],
                    check=False,
                    pass_fds=(there,),
                    stdout=subprocess.DEVNULL,
                )
            )
            return SandboxRun(done.returncode, "", os.read(here, 65536), 0.1)
        finally:
            os.close(here)
            os.close(there)


HARMLESS: dict[str, object] = {
    "read": [],
    "wrote": [],
    "environment": ["HOME", "PATH"],
    "connected": [],
    "processes": 3,
    "interfaces": [],
    "status": {"Uid": "65534\t65534\t65534\t65534", "CapEff": "0000000000000000", "NoNewPrivs": "1"},
    "unlimited": [],
}


async def test_nothing_gets_out_of_the_sandbox(sandbox: Sandbox):
    assert await escape(sandbox) is None


async def test_the_probe_leaves_nothing_behind(sandbox: Sandbox, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))

    await escape(sandbox)

    assert list(tmp_path.iterdir()) == []


async def test_code_that_is_not_held_gets_through_every_door():
    got_out = await escape(Unsandboxed())

    assert got_out == (
        "it read files outside; it wrote outside; it saw our environment; it reached the network; "
        "it saw other processes; it has privileges; it has no limits"
    )


async def test_a_report_of_nothing_reached_is_fine():
    assert await escape(Reporting(HARMLESS)) is None


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        ({"read": ["/etc/passwd"]}, "it read files outside"),
        ({"wrote": ["/usr/x"]}, "it wrote outside"),
        ({"environment": ["HOME", "ANTHROPIC_API_KEY"]}, "it saw our environment"),
        ({"connected": ["192.0.2.1"]}, "it reached the network"),
        ({"interfaces": ["eth0"]}, "it reached the network"),
        ({"processes": 40}, "it saw other processes"),
        ({"status": {"Uid": "0\t0\t0\t0", "CapEff": "0", "NoNewPrivs": "1"}}, "it has privileges"),
        ({"status": {"Uid": "1\t1\t1\t1", "CapEff": "00ff", "NoNewPrivs": "1"}}, "it has privileges"),
        ({"status": {"Uid": "1\t1\t1\t1", "CapEff": "0", "NoNewPrivs": "0"}}, "it has privileges"),
        ({"unlimited": ["RLIMIT_NPROC"]}, "it has no limits"),
    ],
)
async def test_each_thing_that_is_reached_is_named(reached, said):
    assert await escape(Reporting(HARMLESS | reached)) == said


@pytest.mark.parametrize("sandbox", [Reporting({}), Reporting(HARMLESS, exit_code=1)])
async def test_a_probe_that_does_not_finish_proves_nothing(sandbox):
    with pytest.raises(SandboxFailed, match="did not finish"):
        await escape(sandbox)
