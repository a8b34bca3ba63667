"""The sandbox of this machine. Without one the tests fail instead of being skipped: CI installs bubblewrap."""

import importlib.util
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chargehand.tools.checking.sandbox import Command, Limits, Sandbox, SandboxRun
from chargehand.tools.checking.sandbox_search import find_sandbox

# --import-mode=importlib does not put this folder on the path.
_SPEC = importlib.util.spec_from_file_location("snippets", Path(__file__).with_name("snippets.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
sys.modules["snippets"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sys.modules["snippets"])

RunPython = Callable[..., Awaitable[SandboxRun]]


@pytest.fixture
async def sandbox() -> Sandbox:
    search = await find_sandbox()
    assert search.sandbox is not None, f"{search.reason}; {search.remedy}"
    return search.sandbox


@pytest.fixture
def run_python(sandbox: Sandbox) -> RunPython:
    """Runs Python code in the sandbox, in an empty folder unless one is given, with small limits."""

    async def run(code: str, folder: Path | None = None, **limits: float) -> SandboxRun:
        small_limits = {
            "wall_s": 30.0,
            "cpu_s": 20,
            "memory_mb": 256,
            "processes": 16,
            "scratch_mb": 16,
            "output_kb": 64,
        }
        return await sandbox.run(Command([*sandbox.python, "-c", code], folder, Limits(**(small_limits | limits))))

    return run
