"""The escape probe, in the real sandbox and with made-up reports."""

import json
import os
import subprocess
import sys

import anyio.to_thread
import pytest

from chargehand.tools.checking.probe import escape
from chargehand.tools.checking.sandbox import Command, Sandbox, SandboxFailed, SandboxRun

pytestmark = pytest.mark.anyio


class ReportingBackend:
    """A backend whose probe returns the given report."""

    name = "reporting"
    python = ("python",)

    def __init__(self, report: dict[str, object], exit_code: int = 0) -> None:
        self._run = SandboxRun(exit_code, "", json.dumps(report).encode() if report else b"", 0.1)

    async def run(self, command: Command) -> SandboxRun:
        return self._run


class UnsandboxedBackend(ReportingBackend):
    """A backend without isolation, which must never pass: it runs the command directly."""

    python = (sys.executable, "-I")

    def __init__(self) -> None:
        super().__init__({})

    async def run(self, command: Command) -> SandboxRun:
        host_command = [str(command.read_only.get(word, word)) for word in command.words]
        exec_with_report = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"
        read_end, write_end = os.pipe()
        try:
            process = await anyio.to_thread.run_sync(
                lambda: subprocess.run(
                    [sys.executable, "-c", exec_with_report, str(write_end), *host_command],
                    check=False,
                    pass_fds=(write_end,),
                    stdout=subprocess.DEVNULL,
                )
            )
            return SandboxRun(process.returncode, "", os.read(read_end, 65536), 0.1)
        finally:
            os.close(read_end)
            os.close(write_end)


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


async def test_the_escape_probe_finds_nothing_in_the_sandbox(sandbox: Sandbox):
    assert await escape(sandbox) is None


async def test_the_probe_leaves_no_file_in_the_home_folder(sandbox: Sandbox, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))

    await escape(sandbox)

    assert list(tmp_path.iterdir()) == []


async def test_the_probe_reports_every_escape_without_a_sandbox():
    got_out = await escape(UnsandboxedBackend())

    assert got_out == (
        "it read files outside; it wrote outside; it saw our environment; it reached the network; "
        "it saw other processes; it has privileges; it has no limits"
    )


async def test_a_report_without_any_escape_passes():
    assert await escape(ReportingBackend(HARMLESS)) is None


@pytest.mark.parametrize(
    ("reached", "message"),
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
async def test_each_kind_of_escape_is_reported(reached, message):
    assert await escape(ReportingBackend(HARMLESS | reached)) == message


@pytest.mark.parametrize("sandbox", [ReportingBackend({}), ReportingBackend(HARMLESS, exit_code=1)])
async def test_a_probe_that_does_not_finish_fails(sandbox):
    with pytest.raises(SandboxFailed, match="did not finish"):
        await escape(sandbox)
