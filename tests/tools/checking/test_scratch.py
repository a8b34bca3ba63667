"""Folders that a killed process leaves in the temporary folder are removed later; those in use are not."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
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
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder for this test alone, in place of the system's."""
    temporary_folder = tmp_path / "temporary"
    temporary_folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary_folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return temporary_folder


def names_after_sweep(temporary_folder: Path) -> set[str]:
    """The names of the folders that are left after a sweep."""
    sweep.cache_clear()
    sweep(str(temporary_folder))
    return {folder.name for folder in temporary_folder.iterdir()}


def make_old(temporary_folder: Path) -> None:
    for folder in temporary_folder.iterdir():
        os.utime(folder, (1, 1))


async def test_a_sweep_removes_old_folders_of_killed_processes_and_no_others(temporary_folder: Path):
    (temporary_folder / "chargehand-notes").mkdir()
    killed = subprocess.run([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, check=False)  # noqa: ASYNC221 - it is killed immediately
    abandoned = Path(killed.stdout.strip()).name
    async with scratch_folder("run") as in_use:
        assert names_after_sweep(temporary_folder) == {abandoned, in_use.name, "chargehand-notes"}
        make_old(temporary_folder)
        assert names_after_sweep(temporary_folder) == {in_use.name, "chargehand-notes"}
    assert names_after_sweep(temporary_folder) == {"chargehand-notes"}


async def test_who_is_cancelled_does_not_wait_until_the_folder_is_deleted(
    temporary_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    may_delete, deleted, delete = threading.Event(), threading.Event(), shutil.rmtree

    def slowly(folder: Path, *, ignore_errors: bool) -> None:
        may_delete.wait(20)
        delete(folder, ignore_errors=ignore_errors)
        deleted.set()

    monkeypatch.setattr("chargehand.tools.checking.scratch.shutil.rmtree", slowly)
    with anyio.CancelScope() as scope:
        async with scratch_folder("copy"):
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    was_waited_for = deleted.is_set()
    may_delete.set()

    assert not was_waited_for
    assert await anyio.to_thread.run_sync(deleted.wait, 60)
    assert names_after_sweep(temporary_folder) == set()
