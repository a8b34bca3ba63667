"""Embedded Chroma, in a folder that no other process opens."""

import contextlib
import logging
import secrets
import shutil
import sqlite3
import sys
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from .chroma_collection import ChromaCollection
from .chroma_library import COLLECTION_CONFIGURATION, load_chroma, quiet_settings
from .errors import IndexDamaged, IndexFailed, IndexUnavailable
from .filling import open_filler
from .slot_record import CallMark, SlotRecord, read_record, seal_holds, seal_of, write_record
from .slots import Slot, remedy, remove_idle, take_slot
from .vector_index import Filling, Opened, VectorIndex
from .worker import Worker

if TYPE_CHECKING:
    from chromadb.api.client import Client

FILLING_THRESHOLD = 2_000
"""Starting another process takes a second, about as long as adding this many vectors in this one."""

_COLLECTION = "tasks"
_OPEN_LIMIT_S = 120.0
_CLOSE_LIMIT_S = 2.0

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


@dataclass
class _Resources:
    """Resources of a storage: released together, or kept until the process ends if Chroma hangs."""

    slot: Slot
    mark: CallMark
    chroma: str
    record: SlotRecord | None = None
    client: "Client | None" = None


class ChromaSlot:
    """A `IndexStorage` in this process's slot."""

    def __init__(self, root: Path, embedder: str, *, filling_threshold: int = FILLING_THRESHOLD) -> None:
        """root: the folder of all slots. filling_threshold: see `IndexStorage`."""
        self.filling_threshold = filling_threshold
        self._root = root
        self._embedder = embedder
        self._worker: Worker | None = None
        # Set in the worker's thread, so that resources are not lost when the caller is cancelled.
        self._held: _Resources | None = None

    @property
    def folder(self) -> Path | None:
        """The slot's folder; None while no slot is held."""
        return self._held.slot.folder if self._held else None

    async def open(self) -> Opened:
        return await self._work(self._open)

    async def renew(self) -> Opened:
        return await self._work(self._renew)

    @contextlib.asynccontextmanager
    async def filling(self, index: VectorIndex) -> AsyncGenerator[Filling]:
        """See `IndexStorage`. Another process writes and inherits the slot's lock, which is impossible on Windows."""
        if sys.platform == "win32":
            yield index
            return

        def leave(held: _Resources, _: Worker) -> SlotRecord:
            client, held.client = held.client, None
            if client is not None:
                client.close()
            if held.record is None:
                raise IndexFailed("nothing stands open")
            return held.record

        record = await self._work(leave)
        if (held := self._held) is None:
            raise IndexFailed("the slot was given back")
        async with open_filler(
            held.slot.folder / record.folder, _COLLECTION, inherited=held.slot.descriptors
        ) as filler:
            yield filler

    async def note(self, row: int) -> None:
        def write(held: _Resources, _: Worker) -> None:
            record = held.record
            if record is not None:
                seal = seal_of(held.slot.folder / record.folder, record.seal)
                held.record = replace(record, caught_up=row, seal=seal)
                write_record(held.slot.folder, held.record)

        await self._work(write)

    async def aclose(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None or worker.is_stuck:
            return
        try:
            await worker.run(self._release, limit_s=_CLOSE_LIMIT_S)
        except (IndexFailed, IndexUnavailable) as failure:
            _log.warning("the memory's index was not closed: %s", failure)
        worker.stop()

    async def _work(self, work: Callable[[_Resources, Worker], _T]) -> _T:
        if self._worker is None or self._worker.is_stuck:
            # A stuck thread may still be writing, so its slot stays locked and unused until this process ends.
            self._worker, self._held = Worker("chargehand-chroma"), None
        worker = self._worker

        def in_slot() -> _T:
            held = self._held = self._held or self._acquire()
            return work(held, worker)

        try:
            return await worker.run(in_slot, limit_s=_OPEN_LIMIT_S)
        except IndexFailed as failure:
            raise IndexUnavailable(remedy(self.folder or self._root, failure)) from failure

    def _acquire(self) -> _Resources:
        chroma = load_chroma()
        slot = take_slot(self._root)
        try:
            remove_idle(self._root)
            return _Resources(slot, CallMark(slot.folder), chroma)
        except IndexUnavailable:
            slot.release()
            raise
        except OSError as error:
            slot.release()
            raise IndexUnavailable(remedy(slot.folder, error)) from error

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            try:
                _close(held)
            finally:
                held.mark.close()
                held.slot.release()

    def _open(self, held: _Resources, worker: Worker) -> Opened:
        """Raises IndexDamaged for any folder that is not safe to open with Chroma."""
        _close(held)
        folder = held.slot.folder
        if not any(folder.glob("g-*")):
            return self._renew(held, worker)
        record = read_record(folder)
        if record is None:
            raise IndexDamaged("it has no record")
        if record.embedder != self._embedder:
            raise IndexDamaged(f"it holds vectors of {record.embedder}")
        if record.chroma != held.chroma:
            raise IndexDamaged(f"Chroma {record.chroma} wrote it, and this is {held.chroma}")
        if held.mark.is_set:
            raise IndexDamaged("a process died while reading it")
        if not seal_holds(folder / record.folder, record.seal):
            raise IndexDamaged("its files are not as they were left")
        _check_database(folder / record.folder / "chroma.sqlite3")
        for stray in folder.glob("g-*"):
            if stray.name != record.folder:
                shutil.rmtree(stray, ignore_errors=True)
        held.record = record
        with held.mark:
            try:
                held.client = _client(folder / record.folder)
                collection = held.client.get_collection(_COLLECTION, embedding_function=None)
            except Exception as error:
                # Any error, from Chroma or below, means that it cannot be opened.
                raise IndexDamaged(f"Chroma does not open it ({type(error).__name__})") from error
        return Opened(ChromaCollection(worker, collection, held.mark), record.caught_up)

    def _renew(self, held: _Resources, worker: Worker) -> Opened:
        _close(held)
        folder = held.slot.folder
        # A new name each time, so that handles still open on the old folder cannot affect it.
        record = SlotRecord(self._embedder, held.chroma, folder=f"g-{secrets.token_hex(4)}")
        try:
            for old in folder.glob("g-*"):
                shutil.rmtree(old)
            (folder / record.folder).mkdir(mode=0o700, parents=True)
            held.client = _client(folder / record.folder)
            collection = held.client.create_collection(
                _COLLECTION, configuration=COLLECTION_CONFIGURATION, embedding_function=None
            )
            held.record = replace(record, seal=seal_of(folder / record.folder, {}))
            write_record(folder, held.record)
            with held.mark:
                pass  # clears the mark, since the index that may have crashed a process is deleted
        except Exception as error:
            # Any error, as above; no index is left that could be discarded.
            raise IndexUnavailable(remedy(folder, f"{type(error).__name__}: {_first_line(error)}")) from error
        return Opened(ChromaCollection(worker, collection, held.mark), 0)


def _client(folder: Path) -> "Client":
    import chromadb

    # Only the implementation class has `close`.
    return cast("Client", chromadb.PersistentClient(folder, settings=quiet_settings()))


def _close(held: _Resources) -> None:
    client, held.client, held.record = held.client, None, None
    if client is not None:
        client.close()


def _check_database(path: Path) -> None:
    """Run SQLite's integrity check on Chroma's database before Chroma opens it."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as database:
            answer = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise IndexDamaged(f"its database cannot be read ({error})") from error
    if answer != "ok":
        raise IndexDamaged("its database is damaged")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")[:200]
