"""A folder for each process, whatever happens to the process."""

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
from index_rows import found, remember, until, vectors

from chargehand.memory_store.index.errors import IndexUnavailable
from chargehand.memory_store.index.slots import IDLE_AFTER_S, remove_idle, take_slot
from chargehand.memory_store.ledger import Ledger

HOLDER = Path(__file__).with_name("slot_holder.py")
WAIT_S = 30
KILLS = int(os.environ.get("CHARGEHAND_TEST_KILLS", "10"))
KILLED_AMONG = 4000

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Starts processes that are gone at the end."""
    processes: list[subprocess.Popen[str]] = []

    def start_one(*command: str) -> subprocess.Popen[str]:
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

    yield start_one
    for process in processes:
        process.kill()
        process.wait(WAIT_S)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _ask(process: subprocess.Popen[str], question: str) -> str:
    assert process.stdin is not None
    process.stdin.write(f"{question}\n")
    process.stdin.flush()
    return _line(process)


def _kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(WAIT_S)


@pytest.mark.parametrize("count", [2, 8])
def test_processes_that_start_at_once_each_get_a_slot_of_their_own(start: Start, count: int):
    holders = [start("hold") for _ in range(count)]

    assert sorted(int(_line(holder)) for holder in holders) == list(range(count))


def test_the_slot_of_a_killed_process_is_the_next_ones(start: Start, root: Path):
    holders = [start("hold") for _ in range(3)]
    by_number = {int(_line(holder)): holder for holder in holders}
    _kill(by_number[1])

    slot = take_slot(root)

    assert slot.number == 1
    slot.release()


def test_two_takers_in_one_process_get_two_slots(root: Path):
    one, other = take_slot(root), take_slot(root)

    assert (one.number, other.number) == (0, 1)
    one.release()
    again = take_slot(root)
    assert again.number == 0
    other.release()
    again.release()


def test_the_folder_is_for_its_owners_eyes(root: Path):
    slot = take_slot(root)

    assert [path.stat().st_mode & 0o777 for path in (root, slot.folder, root / "0.lock")] == [0o700, 0o700, 0o600]
    slot.release()


def test_only_long_idle_free_slots_are_emptied(root: Path):
    slots = [take_slot(root) for _ in range(3)]
    slots[1].release()
    slots[2].release()
    soon, late = time.time() + IDLE_AFTER_S - 60, time.time() + IDLE_AFTER_S + 60

    assert remove_idle(root, now=soon) == []
    assert remove_idle(root, now=late) == [1, 2]
    assert sorted(path.name for path in root.iterdir()) == ["0", "0.lock", "1.lock", "2.lock"]
    assert remove_idle(root, now=0) == []  # a clock set back
    slots[0].release()


def test_a_folder_that_cannot_be_made_is_named_with_a_remedy(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(IndexUnavailable) as caught:
        take_slot(tmp_path / "file" / "index")

    assert str(tmp_path / "file" / "index") in str(caught.value)
    assert "CHARGEHAND_HOME" in str(caught.value)


@pytest.mark.anyio
async def test_each_process_finds_in_its_next_call_what_another_wrote(ledger: Ledger, start: Start):
    await remember(ledger, vectors(50))
    servers = [start("serve", f"s{number}") for number in range(3)]
    for server in servers:
        assert _line(server) == "started"
    slots = [_line(server) for server in servers]

    for number, writer in enumerate(servers, 100):
        written = _ask(writer, f"add {number}")
        assert [_ask(reader, f"find {number}") for reader in servers] == [written] * len(servers)

    assert sorted(slots) == ["ready 0", "ready 1", "ready 2"]


@pytest.mark.anyio
async def test_killed_at_any_moment_of_loading_and_rebuilding_the_next_start_finds_all(
    ledger: Ledger, root: Path, start: Start, open_keeper
):
    some = vectors(KILLED_AMONG)
    ids = await remember(ledger, some)
    moments = random.Random(3)
    parent = start("live_often")
    assert _line(parent) == "ready"

    for number in range(KILLS):
        if number % 5 == 4:
            (late,) = await remember(ledger, vectors(1, seed=number + 50), prefix=f"late{number}-")
        lines = [_ask(parent, "live"), _line(parent)]
        pid = next(int(line.split()[1]) for line in lines if line.startswith("child"))
        await anyio.sleep(moments.uniform(0.0, 0.5))  # the moment of the kill is what is varied
        os.kill(pid, signal.SIGKILL)
        while _line(parent) != "over":
            pass

    async with open_keeper() as keeper:
        await until(keeper, "ready")
        assert await found(keeper, some[::3]) == ids[::3]
        assert await found(keeper, vectors(1, seed=number + 50)) == [late]
    slot = take_slot(root)
    assert slot.number == 0
    slot.release()
