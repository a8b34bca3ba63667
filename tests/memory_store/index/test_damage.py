"""Damage to the files of the index: it is rebuilt, nothing is lost, and nothing crashes."""

import datetime as dt
import json
import os
import random
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from index_rows import EMBEDDER, WAIT_S, add_tasks, nearest_ids, vectors, wait_for_phase

from chargehand.memory_store.index import building, chroma_library, slot_record
from chargehand.memory_store.index.chroma_slot import ChromaSlot
from chargehand.memory_store.index.errors import IndexDamaged, IndexFailed
from chargehand.memory_store.index.keeper import IndexKeeper
from chargehand.memory_store.index.vector_index import Opened
from chargehand.memory_store.ledger import Ledger

pytestmark = pytest.mark.anyio

# More than the 1,000 vectors that Chroma keeps in its log before it writes its graph files.
TASKS = 1200


def _garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flip_one_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "gone": Path.unlink,
    "empty": lambda path: os.truncate(path, 0),
    "half": _truncate,
    "garbage": _garbage,
}
GRAPH = ("data_level0.bin", "header.bin", "index_metadata.pickle", "length.bin", "link_lists.bin")


@pytest.fixture(scope="module")
def complete_index(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], Any]:
    """The data folder of a closed ledger with a complete index, the task ids, and their vectors."""
    home, unit_vectors = tmp_path_factory.mktemp("whole") / "home", vectors(TASKS)

    async def build() -> list[str]:
        ledger = await Ledger.open(home, lambda: dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC))
        keeper = IndexKeeper(ledger, EMBEDDER, ChromaSlot(home / "index", EMBEDDER))
        ids = await add_tasks(ledger, unit_vectors)
        async with anyio.create_task_group() as group:
            keeper.start(group)
            await wait_for_phase(keeper, "ready")
            group.cancel_scope.cancel()
        await keeper.aclose()
        await ledger.aclose()
        return ids

    return home, anyio.run(build), unit_vectors


@pytest.fixture
def index_copy(complete_index, home: Path) -> tuple[list[str], Any]:
    """A copy of it in `home`; must be requested before the fixture `ledger`."""
    folder, ids, unit_vectors = complete_index
    shutil.copytree(folder, home)  # with the modification times, which are in the seal
    return ids, unit_vectors


def _index_file(root: Path, name: str) -> Path:
    (path,) = (root / "0").glob(f"g-*/**/{name}")
    return path


async def _assert_noticed(root: Path) -> None:
    storage = ChromaSlot(root, EMBEDDER)
    with pytest.raises(IndexDamaged):
        await storage.open()
    await storage.aclose()


async def _assert_rebuilt(index_copy, root: Path, open_keeper) -> None:
    ids, unit_vectors = index_copy
    before = set((root / "0").glob("g-*"))
    async with open_keeper() as keeper:
        assert await nearest_ids(keeper, unit_vectors[:3]) == ids[:3]
        await wait_for_phase(keeper, "ready")
        assert await nearest_ids(keeper, unit_vectors[::20]) == ids[::20]
    assert not before & set((root / "0").glob("g-*"))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *(("chroma.sqlite3", damage) for damage in DAMAGES),
        *(("data_level0.bin", damage) for damage in DAMAGES),
        ("header.bin", "half"),
        ("index_metadata.pickle", "gone"),
    ],
)
async def test_a_damaged_index_file_is_noticed(index_copy, root: Path, name: str, damage: str):
    DAMAGES[damage](_index_file(root, name))

    await _assert_noticed(root)


@pytest.mark.parametrize("name", GRAPH)
async def test_one_changed_byte_in_the_graph_is_noticed(index_copy, root: Path, name: str):
    _flip_one_byte(_index_file(root, name))

    await _assert_noticed(root)


@pytest.mark.parametrize("name", ["chroma.sqlite3", "data_level0.bin"])
async def test_a_damaged_index_is_rebuilt(index_copy, root: Path, open_keeper, name: str):
    DAMAGES["garbage"](_index_file(root, name))

    await _assert_rebuilt(index_copy, root, open_keeper)


@pytest.mark.parametrize(
    "damage",
    [
        lambda slot: (slot / "slot.json").unlink(),
        lambda slot: (slot / "slot.json").write_text("{"),
        lambda slot: (slot / "slot.json").write_text("[]"),
        lambda slot: (slot / "slot.json").write_bytes(b"\xff\x00"),
    ],
)
async def test_a_missing_or_invalid_record_is_noticed(index_copy, root: Path, damage):
    damage(root / "0")

    await _assert_noticed(root)


@pytest.mark.parametrize(
    "change",
    [{"chroma": "1.4.0"}, {"embedder": "another-32"}, {"schema": slot_record.RECORD_SCHEMA + 1}, {"folder": "../.."}],
)
async def test_an_index_of_another_chroma_embedder_schema_or_folder_is_noticed(
    index_copy, root: Path, change: dict[str, Any]
):
    path = root / "0" / "slot.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    await _assert_noticed(root)


async def test_an_index_with_fewer_vectors_than_recorded_is_rebuilt(index_copy, root: Path, open_keeper):
    ids, _ = index_copy
    storage = ChromaSlot(root, EMBEDDER)
    opened = await storage.open()
    await opened.index.remove(sorted(await opened.index.ids())[:1])
    await storage.note(len(ids))
    await storage.aclose()

    await _assert_rebuilt(index_copy, root, open_keeper)


async def test_an_index_with_wrong_vectors_is_rebuilt(index_copy, root: Path, open_keeper):
    ids, _ = index_copy
    storage = ChromaSlot(root, EMBEDDER)
    opened = await storage.open()
    entries = sorted(await opened.index.ids())
    await opened.index.add(entries, vectors(len(entries), seed=5))
    await storage.note(len(ids))
    await storage.aclose()

    await _assert_rebuilt(index_copy, root, open_keeper)


async def test_an_index_that_a_process_died_reading_is_not_opened_again(index_copy, root: Path):
    mark = slot_record.CallMark(root / "0")
    mark.__enter__()
    mark.close()

    await _assert_noticed(root)


async def test_a_deleted_index_is_rebuilt(index_copy, root: Path, open_keeper):
    shutil.rmtree(root)

    await _assert_rebuilt(index_copy, root, open_keeper)


async def test_an_index_of_another_ledger_is_rebuilt(index_copy, home: Path, clock, root: Path, open_keeper):
    other = await Ledger.open(home / "other", clock)
    unit_vectors = vectors(60, seed=7)
    ids = await add_tasks(other, unit_vectors, prefix="other")

    async with open_keeper(on_ledger=other) as keeper:
        await wait_for_phase(keeper, "ready")
        assert await nearest_ids(keeper, unit_vectors) == ids
    await other.aclose()


class _FailingStorage:
    """A storage whose index fails on the call named `failing_call`, once."""

    def __init__(self, storage: ChromaSlot) -> None:
        self._storage = storage
        self.filling_threshold = storage.filling_threshold
        self.failing_call: str | None = None

    async def open(self) -> Opened:
        opened = await self._storage.open()
        return Opened(_FailingIndex(self, opened.index), opened.caught_up)

    async def renew(self) -> Opened:
        opened = await self._storage.renew()
        return Opened(_FailingIndex(self, opened.index), opened.caught_up)

    def filling(self, index: Any) -> Any:
        return self._storage.filling(index)

    async def note(self, row: int) -> None:
        await self._storage.note(row)

    async def aclose(self) -> None:
        await self._storage.aclose()


class _FailingIndex:
    def __init__(self, storage: _FailingStorage, index: Any) -> None:
        self._storage, self._index = storage, index

    def __getattr__(self, name: str) -> Any:
        if self._storage.failing_call == name:
            self._storage.failing_call = None
            raise IndexFailed("told to")
        return getattr(self._index, name)


@pytest.mark.parametrize("call", ["nearest", "add"])
async def test_queries_are_answered_while_chroma_calls_fail_and_the_index_recovers(
    ledger, root, open_keeper, call: str
):
    unit_vectors = vectors(150)
    ids = await add_tasks(ledger, unit_vectors[:50])
    storage = _FailingStorage(ChromaSlot(root, EMBEDDER))

    async with open_keeper(storage=storage) as keeper:
        await wait_for_phase(keeper, "ready")
        storage.failing_call = call
        ids += await add_tasks(ledger, unit_vectors[50:], prefix="late")
        assert await nearest_ids(keeper, unit_vectors) == ids
        with anyio.fail_after(WAIT_S):
            while storage.failing_call is not None:  # noqa: ASYNC110 - cleared in the background
                await anyio.sleep(0.01)
        await wait_for_phase(keeper, "ready")
        assert await nearest_ids(keeper, unit_vectors) == ids


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """A read-only mount, since root may write to any other folder."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def _small_disk(folder: Path, kib: int) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _may_mount() -> bool:
    if os.geteuid() != 0:
        return False
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return probe.returncode == 0


needs_mount = pytest.mark.skipif(not _may_mount(), reason="needs a user who may mount file systems")


@needs_mount
@pytest.mark.parametrize("is_built", [True, False])
async def test_a_read_only_folder_is_reported_with_a_remedy_and_queries_are_still_answered(
    ledger, root, open_keeper, is_built: bool
):
    unit_vectors = vectors(60)
    ids = await add_tasks(ledger, unit_vectors)
    if is_built:
        async with open_keeper() as keeper:
            await wait_for_phase(keeper, "ready")
    root.mkdir(exist_ok=True)

    with _read_only(root):
        async with open_keeper() as keeper:
            await wait_for_phase(keeper, "unavailable")
            text = keeper.state.as_text()
            assert await nearest_ids(keeper, unit_vectors) == ids
    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "ready")
        assert await nearest_ids(keeper, unit_vectors) == ids

    assert str(root) in text
    assert "Make the folder writable" in text


@needs_mount
@pytest.mark.parametrize(("kib", "count"), [(4, 60), (150, 60), (1500, 3000)])
async def test_a_full_disk_is_reported_with_a_remedy_and_queries_are_still_answered(
    ledger, root, open_keeper, kib: int, count: int
):
    unit_vectors = vectors(count)
    ids = await add_tasks(ledger, unit_vectors)

    with _small_disk(root, kib):
        async with open_keeper(retry_after_s=0.05) as keeper:
            await wait_for_phase(keeper, "unavailable")
            text = keeper.state.as_text()
            assert await nearest_ids(keeper, unit_vectors[::100]) == ids[::100]
            await anyio.run_process(["mount", "-o", "remount,size=60m", str(root)])
            await wait_for_phase(keeper, "ready")
            assert await nearest_ids(keeper, unit_vectors[::20]) == ids[::20]

    assert "free disk space" in text


async def test_a_file_size_limit_is_reported_with_a_remedy(ledger, root: Path, open_keeper):
    unit_vectors = vectors(3000)
    ids = await add_tasks(ledger, unit_vectors)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    async with open_keeper() as keeper:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
        try:
            await wait_for_phase(keeper, "unavailable")
            assert await nearest_ids(keeper, unit_vectors[::100]) == ids[::100]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

        assert "free disk space" in keeper.state.as_text()


async def test_queries_are_answered_without_chroma(ledger, open_keeper, monkeypatch: pytest.MonkeyPatch):
    unit_vectors = vectors(40)
    ids = await add_tasks(ledger, unit_vectors)
    monkeypatch.setitem(__import__("sys").modules, "chromadb", None)

    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "unavailable")

        assert "Install Chargehand again" in keeper.state.as_text()
        assert await nearest_ids(keeper, unit_vectors) == ids


def test_chroma_settings_ignore_a_dotenv_file_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".env").write_text("CHROMA_OTEL_COLLECTION_ENDPOINT=http://127.0.0.1:9\nALLOW_RESET=true\n")
    chroma_library.load_chroma()
    monkeypatch.chdir(tmp_path)

    settings = chroma_library.quiet_settings()

    assert (settings.chroma_otel_collection_endpoint, settings.allow_reset) == ("", False)


async def test_a_new_index_that_fails_its_check_is_not_rebuilt_endlessly(ledger, root, open_keeper, monkeypatch):
    async def refuse(*_: object) -> None:
        raise IndexDamaged("told to")

    monkeypatch.setattr(building, "check_findable", refuse)
    unit_vectors = vectors(40)
    ids = await add_tasks(ledger, unit_vectors)

    async with open_keeper() as keeper:
        await wait_for_phase(keeper, "unavailable")

        assert await nearest_ids(keeper, unit_vectors) == ids
