"""Slots: each process has its own index folder, even after kills."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
from index_rows import add_tasks, nearest_ids, vectors, wait_for_phase

from chargehand.memory_store.index.errors import IndexUnavailable
from chargehand.memory_store.index.slots import IDLE_AFTER_S, remove_idle, take_slot
from chargehand.memory_store.ledger import Ledger

HOLDER = Path(__file__).with_name("slot_holder.py")
WAIT_S = 60
KILLS = int(os.environ.get("CHARGEHAND_TEST_KILLS", "5"))
TASKS = 4000

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Starts `slot_holder.py` processes; they are killed at the end of the test."""
    processes: list[subprocess.Popen[str]] = []

    def start_process(*command: str) -> subprocess.Popen[str]:
        processes.append(
            subprocess.Popen(
                [sys.executable, str(HOLDER), str(home), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={"PYTHONPATH": str(HOLDER.parent.parent), "PATH": "/usr/bin:/bin"},
            )
        )
        return processes[-1]

    yield start_process
    for process in processes:
        process.kill()
        process.wait(WAIT_S)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def _read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _request(process: subprocess.Popen[str], request: str) -> str:
    assert process.stdin is not None
    process.stdin.write(f"{request}\n")
    process.stdin.flush()
    return _read_line(process)


def _kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(WAIT_S)


@pytest.mark.parametrize("count", [2, 8])
def test_processes_that_start_at_the_same_time_get_distinct_slots(start: Start, count: int):
    holders = [start("hold") for _ in range(count)]

    assert sorted(int(_read_line(holder)) for holder in holders) == list(range(count))


def test_the_slot_of_a_killed_process_is_reused(start: Start, root: Path):
    holders = [start("hold") for _ in range(3)]
    by_number = {int(_read_line(holder)): holder for holder in holders}
    _kill(by_number[1])

    slot = take_slot(root)

    assert slot.number == 1
    slot.release()


def test_two_slots_taken_in_one_process_are_distinct_and_reusable_after_release(root: Path):
    first, second = take_slot(root), take_slot(root)

    assert (first.number, second.number) == (0, 1)
    first.release()
    third = take_slot(root)
    assert third.number == 0
    second.release()
    third.release()


def test_the_index_folder_and_its_lock_files_are_private(root: Path):
    slot = take_slot(root)

    assert [path.stat().st_mode & 0o777 for path in (root, slot.folder, root / "0.lock")] == [0o700, 0o700, 0o600]
    slot.release()


def test_only_free_slots_that_were_idle_for_long_are_emptied(root: Path):
    slots = [take_slot(root) for _ in range(3)]
    slots[1].release()
    slots[2].release()
    before, after = time.time() + IDLE_AFTER_S - 60, time.time() + IDLE_AFTER_S + 60

    assert remove_idle(root, now=before) == []
    assert remove_idle(root, now=after) == [1, 2]
    assert sorted(path.name for path in root.iterdir()) == ["0", "0.lock", "1.lock", "2.lock"]
    assert remove_idle(root, now=0) == []  # after the clock is set back
    slots[0].release()


def test_an_index_folder_that_cannot_be_created_is_reported_with_a_remedy(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(IndexUnavailable) as caught:
        take_slot(tmp_path / "file" / "index")

    assert str(tmp_path / "file" / "index") in str(caught.value)
    assert "CHARGEHAND_HOME" in str(caught.value)


@pytest.mark.anyio
async def test_tasks_written_by_one_process_are_found_by_the_others_in_their_next_query(ledger: Ledger, start: Start):
    await add_tasks(ledger, vectors(50))
    servers = [start("serve", f"s{number}") for number in range(3)]
    for server in servers:
        assert _read_line(server) == "started"
    slots = [_read_line(server) for server in servers]

    for number, writer in enumerate(servers, 100):
        written = _request(writer, f"add {number}")
        assert [_request(reader, f"find {number}") for reader in servers] == [written] * len(servers)

    assert sorted(slots) == ["ready 0", "ready 1", "ready 2"]


@pytest.mark.anyio
async def test_after_kills_while_loading_or_rebuilding_the_next_start_finds_all_tasks(
    ledger: Ledger, root: Path, start: Start, open_keeper
):
    unit_vectors = vectors(TASKS)
    ids = await add_tasks(ledger, unit_vectors)
    random_delays = random.Random(3)
    parent = start("serve_children")
    assert _read_line(parent) == "ready"

    for number in range(KILLS):
        if number % 5 == 4:
            (after,) = await add_tasks(ledger, vectors(1, seed=number + 50), prefix=f"late{number}-")
        lines = [_request(parent, "live"), _read_line(parent)]
        pid = next(int(line.split()[1]) for line in lines if line.startswith("child"))
        await anyio.sleep(random_delays.uniform(0.0, 0.5))  # the test varies the moment of the kill
        os.kill(pid, signal.SIGKILL)
        while _read_line(parent) != "over":
            pass

    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
        assert await nearest_ids(keeper, unit_vectors[::3]) == ids[::3]
        assert await nearest_ids(keeper, vectors(1, seed=number + 50)) == [after]
    slot = take_slot(root)
    assert slot.number == 0
    slot.release()
