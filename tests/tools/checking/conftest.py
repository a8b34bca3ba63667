"""The sandbox of this machine. Without one these tests fail, they do not skip: CI installs bubblewrap."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chargehand.tools.checking.sandbox import Limits, Sandbox, SandboxRun
from chargehand.tools.checking.sandbox_search import find_sandbox

RunPython = Callable[..., Awaitable[SandboxRun]]


@pytest.fixture
async def sandbox() -> Sandbox:
    search = await find_sandbox()
    assert search.sandbox is not None, f"{search.reason}; {search.remedy}"
    return search.sandbox


@pytest.fixture
def run_python(sandbox: Sandbox) -> RunPython:
    """Runs Python text in the sandbox, in an empty folder unless one is given, with small limits."""

    async def run(code: str, folder: Path | None = None, **limits: float) -> SandboxRun:
        small = {"wall_s": 5.0, "cpu_s": 5, "memory_mb": 256, "processes": 16, "scratch_mb": 16, "output_kb": 64}
        return await sandbox.run([*sandbox.python, "-c", code], folder, Limits(**(small | limits)))

    return run
