"""Whatever happens to the files of the index: it is built anew, nothing is lost, and nothing crashes."""

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
from index_rows import EMBEDDER, WAIT_S, found, remember, until, vectors

from chargehand.memory_store.index import chroma_library, slot_record
from chargehand.memory_store.index.chroma_slot import ChromaSlot
from chargehand.memory_store.index.errors import IndexDamaged, IndexFailed
from chargehand.memory_store.index.keeper import IndexKeeper
from chargehand.memory_store.index.vector_index import Opened
from chargehand.memory_store.ledger import Ledger

pytestmark = pytest.mark.anyio

# More than Chroma keeps in its log before it writes the files of its graph (1,000).
MANY = 1200


def _garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def _half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _one_byte(path: Path) -> None:
    kept = bytearray(path.read_bytes())
    kept[len(kept) // 2] ^= 0xFF
    path.write_bytes(kept)


HARMS: dict[str, Callable[[Path], None]] = {
    "gone": Path.unlink,
    "empty": lambda path: os.truncate(path, 0),
    "half": _half,
    "garbage": _garbage,
}
GRAPH = ("data_level0.bin", "header.bin", "index_metadata.pickle", "length.bin", "link_lists.bin")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], Any]:
    """The folder of a ledger and a whole index of it, closed."""
    home, some = tmp_path_factory.mktemp("whole") / "home", vectors(MANY)

    async def build() -> list[str]:
        ledger = await Ledger.open(home, lambda: dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC))
        keeper = IndexKeeper(ledger, EMBEDDER, ChromaSlot(home / "index", EMBEDDER))
        ids = await remember(ledger, some)
        async with anyio.create_task_group() as group:
            keeper.start(group)
            await until(keeper, "ready")
            group.cancel_scope.cancel()
        await keeper.aclose()
        await ledger.aclose()
        return ids

    return home, anyio.run(build), some


@pytest.fixture
def built(whole, home: Path) -> tuple[list[str], Any]:
    """A copy of that, where `ledger` opens it afterwards: ask for this first."""
    folder, ids, some = whole
    shutil.copytree(folder, home)  # with the times of the files, which are in the seal
    return ids, some


def _only(root: Path, name: str) -> Path:
    (path,) = (root / "0").glob(f"g-*/**/{name}")
    return path


async def _all_is_found_in_a_new_index(built, root: Path, open_keeper, *, step: int = 20) -> None:
    ids, some = built
    before = set((root / "0").glob("g-*"))
    async with open_keeper() as keeper:
        assert await found(keeper, some[:3]) == ids[:3]
        await until(keeper, "ready")
        assert await found(keeper, some[::step]) == ids[::step]
    assert not before & set((root / "0").glob("g-*"))


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        *(("chroma.sqlite3", harm) for harm in HARMS),
        *(("data_level0.bin", harm) for harm in HARMS),
        ("header.bin", "half"),
        ("index_metadata.pickle", "gone"),
    ],
)
async def test_a_damaged_file_is_noticed_and_the_index_built_anew(built, root: Path, open_keeper, name: str, harm: str):
    HARMS[harm](_only(root, name))

    await _all_is_found_in_a_new_index(built, root, open_keeper)


@pytest.mark.parametrize("name", GRAPH)
async def test_one_changed_byte_in_the_graph_is_noticed(built, root: Path, open_keeper, name: str):
    _one_byte(_only(root, name))

    await _all_is_found_in_a_new_index(built, root, open_keeper)


@pytest.mark.parametrize(
    "harm",
    [
        lambda slot: (slot / "slot.json").unlink(),
        lambda slot: (slot / "slot.json").write_text("{"),
        lambda slot: (slot / "slot.json").write_text("[]"),
        lambda slot: (slot / "slot.json").write_bytes(b"\xff\x00"),
    ],
)
async def test_without_its_record_an_index_is_built_anew(built, root: Path, open_keeper, harm):
    harm(root / "0")

    await _all_is_found_in_a_new_index(built, root, open_keeper)


@pytest.mark.parametrize(
    "change",
    [{"chroma": "1.4.0"}, {"embedder": "another-32"}, {"schema": slot_record.RECORD_SCHEMA + 1}, {"folder": "../.."}],
)
async def test_an_index_of_another_make_is_built_anew(built, root: Path, open_keeper, change: dict[str, Any]):
    path = root / "0" / "slot.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    await _all_is_found_in_a_new_index(built, root, open_keeper)


async def test_an_index_that_holds_less_than_its_record_says_is_built_anew(built, root: Path, open_keeper):
    ids, _ = built
    storage = ChromaSlot(root, EMBEDDER)
    opened = await storage.open()
    await opened.index.remove(sorted(await opened.index.ids())[:1])
    await storage.note(len(ids))
    await storage.aclose()

    await _all_is_found_in_a_new_index(built, root, open_keeper)


async def test_an_index_whose_vectors_do_not_find_themselves_is_built_anew(built, root: Path, open_keeper):
    ids, _ = built
    storage = ChromaSlot(root, EMBEDDER)
    opened = await storage.open()
    entries = sorted(await opened.index.ids())
    await opened.index.add(entries, vectors(len(entries), seed=5))
    await storage.note(len(ids))
    await storage.aclose()

    await _all_is_found_in_a_new_index(built, root, open_keeper)


async def test_an_index_that_a_process_died_reading_is_not_opened_again(built, root: Path, open_keeper):
    mark = slot_record.CallMark(root / "0")
    mark.__enter__()
    mark.close()

    await _all_is_found_in_a_new_index(built, root, open_keeper)


async def test_a_deleted_index_is_built_anew(built, root: Path, open_keeper):
    shutil.rmtree(root)

    await _all_is_found_in_a_new_index(built, root, open_keeper, step=1)


async def test_another_ledger_under_the_same_index_is_noticed(built, home: Path, clock, root: Path, open_keeper):
    other = await Ledger.open(home / "other", clock)
    some = vectors(60, seed=7)
    ids = await remember(other, some, prefix="other")

    async with open_keeper(over=other) as keeper:
        await until(keeper, "ready")
        assert await found(keeper, some) == ids
    await other.aclose()


class _Breaking:
    """A storage whose index can be told to fail."""

    def __init__(self, storage: ChromaSlot) -> None:
        self._storage = storage
        self.filling_threshold = storage.filling_threshold
        self.fails: str | None = None

    async def open(self) -> Opened:
        opened = await self._storage.open()
        return Opened(_BreakingIndex(self, opened.index), opened.caught_up)

    async def renew(self) -> Opened:
        opened = await self._storage.renew()
        return Opened(_BreakingIndex(self, opened.index), opened.caught_up)

    def filling(self, index: Any) -> Any:
        return self._storage.filling(index)

    async def note(self, row: int) -> None:
        await self._storage.note(row)

    async def aclose(self) -> None:
        await self._storage.aclose()


class _BreakingIndex:
    def __init__(self, storage: _Breaking, index: Any) -> None:
        self._storage, self._index = storage, index

    def __getattr__(self, name: str) -> Any:
        if self._storage.fails == name:
            self._storage.fails = None
            raise IndexFailed("told to")
        return getattr(self._index, name)


@pytest.mark.parametrize("call", ["nearest", "add"])
async def test_a_failing_call_is_answered_all_the_same_and_the_index_comes_back(ledger, root, open_keeper, call: str):
    some = vectors(150)
    ids = await remember(ledger, some[:50])
    storage = _Breaking(ChromaSlot(root, EMBEDDER))

    async with open_keeper(storage=storage) as keeper:
        await until(keeper, "ready")
        storage.fails = call
        ids += await remember(ledger, some[50:], prefix="late")
        assert await found(keeper, some) == ids
        with anyio.fail_after(WAIT_S):
            while storage.fails is not None:  # noqa: ASYNC110 - the background does it
                await anyio.sleep(0.01)
        await until(keeper, "ready")
        assert await found(keeper, some) == ids


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Root may write everywhere but to a file system that is mounted read-only."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def _small(folder: Path, kib: int) -> Iterator[None]:
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
async def test_a_read_only_folder_is_named_with_a_remedy_and_answers_go_on(ledger, root, open_keeper, is_built: bool):
    some = vectors(60)
    ids = await remember(ledger, some)
    if is_built:
        async with open_keeper() as keeper:
            await until(keeper, "ready")
    root.mkdir(exist_ok=True)

    with _read_only(root):
        async with open_keeper() as keeper:
            await until(keeper, "unavailable")
            text = keeper.state.as_text()
            assert await found(keeper, some) == ids
    async with open_keeper() as keeper:
        await until(keeper, "ready")
        assert await found(keeper, some) == ids

    assert str(root) in text
    assert "Make the folder writable" in text


@needs_mount
@pytest.mark.parametrize("kib", [4, 300, 1500])
async def test_a_full_disk_is_named_with_a_remedy_and_answers_go_on(ledger, root, open_keeper, kib: int):
    some = vectors(3000)
    ids = await remember(ledger, some)

    with _small(root, kib):
        async with open_keeper(retry_after_s=0.05) as keeper:
            await until(keeper, "unavailable")
            text = keeper.state.as_text()
            assert await found(keeper, some[::100]) == ids[::100]
            await anyio.run_process(["mount", "-o", "remount,size=60m", str(root)])
            await until(keeper, "ready")
            assert await found(keeper, some[::20]) == ids[::20]

    assert "free disk space" in text


async def test_a_file_that_may_not_grow_is_named_with_a_remedy(ledger, root: Path, open_keeper):
    some = vectors(3000)
    ids = await remember(ledger, some)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    async with open_keeper() as keeper:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
        try:
            await until(keeper, "unavailable")
            assert await found(keeper, some[::100]) == ids[::100]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

        assert "free disk space" in keeper.state.as_text()


async def test_without_chroma_answers_go_on(ledger, open_keeper, monkeypatch: pytest.MonkeyPatch):
    some = vectors(40)
    ids = await remember(ledger, some)
    monkeypatch.setitem(__import__("sys").modules, "chromadb", None)

    async with open_keeper() as keeper:
        await until(keeper, "unavailable")

        assert "Install Chargehand again" in keeper.state.as_text()
        assert await found(keeper, some) == ids


def test_settings_of_chroma_take_nothing_from_the_users_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".env").write_text("CHROMA_OTEL_COLLECTION_ENDPOINT=http://127.0.0.1:9\nALLOW_RESET=true\n")
    chroma_library.load_chroma()
    monkeypatch.chdir(tmp_path)

    settings = chroma_library.quiet_settings()

    assert (settings.chroma_otel_collection_endpoint, settings.allow_reset) == ("", False)


async def test_a_fresh_index_that_does_not_find_is_not_built_for_ever(ledger, root, open_keeper, monkeypatch):
    from chargehand.memory_store.index import keeper as keeper_module

    async def refuse(*_: object) -> None:
        raise IndexDamaged("told to")

    monkeypatch.setattr(keeper_module, "check_findable", refuse)
    some = vectors(40)
    ids = await remember(ledger, some)

    async with open_keeper() as keeper:
        await until(keeper, "unavailable")

        assert await found(keeper, some) == ids
