"""What a killed process leaves in the temporary folder is removed by the next one, and nothing that lives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chargehand.tools.checking.scratch import scratch_folder, sweep

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="there are no locks there")]

KILLED = """
import anyio, os, signal
from chargehand.tools.checking.scratch import scratch_folder

async def main():
    async with scratch_folder("copy") as folder:
        (folder / "plan.txt").write_text("secret")
        print(folder, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

anyio.run(main)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder, of this test alone."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr("tempfile.tempdir", None)
    return place


def swept(place: Path) -> set[str]:
    """What is there after a sweep."""
    sweep.cache_clear()
    sweep(str(place))
    return {folder.name for folder in place.iterdir()}


def age(place: Path) -> None:
    for folder in place.iterdir():
        os.utime(folder, (1, 1))


async def test_what_a_killed_process_left_goes_and_what_is_in_use_or_somebody_elses_stays(place: Path):
    (place / "chargehand-notes").mkdir()
    killed = subprocess.run([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, check=False)  # noqa: ASYNC221 - it is killed at once
    left = Path(killed.stdout.strip()).name
    async with scratch_folder("run") as in_use:
        assert swept(place) == {left, in_use.name, "chargehand-notes"}
        age(place)
        assert swept(place) == {in_use.name, "chargehand-notes"}
    assert swept(place) == {"chargehand-notes"}
