"""Cost of the memory's index: embedded Chroma, a Chroma server, and exact search, on the same vectors.

Each is measured through the index keeper, as in the product, in a separate process to isolate its resident memory.
The vectors are synthetic: groups of near-duplicates, like real tasks.
"""

import contextlib
import datetime as dt
import json
import logging
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from rich.progress import track
from rich.table import Table

from ...memory_store import embeddings
from ...memory_store.index.chroma_server import ChromaServer
from ...memory_store.index.chroma_slot import ChromaSlot
from ...memory_store.index.errors import IndexUnavailable
from ...memory_store.index.keeper import IndexKeeper
from ...memory_store.index.vector_index import Filling, IndexStorage, Opened, VectorIndex
from ...memory_store.ledger import Ledger
from .output import output, progress_output
from .server_process import resident_mb

if TYPE_CHECKING:
    from ...memory_store.index.vector_index import Vectors

KINDS = {"chroma": "Chroma in a slot", "server": "Chroma server", "exact": "exact search"}
SIZES = (1_000, 10_000, 100_000)

_EMBEDDER = "bench-256"
_DIMENSIONS = 256
_IN_A_GROUP = 20
_QUERIES = 400
_NEIGHBOURS = 50
_BATCH = 2_000
_LIMIT_S = 1_800.0
_UNKNOWN = float("nan")

_ROWS = {
    "rebuild_s": "build from nothing, s",
    "first_answer_s": "start to first answer, s",
    "open_s": "start to index open, s",
    "nearest_p50_ms": "nearest, p50 ms",
    "nearest_p99_ms": "nearest, p99 ms",
    "record_p50_ms": "record a vector, p50 ms",
    "visible_p50_ms": "nearest right after a record, p50 ms",
    "found": "stored vectors found, of {asked}",
    "resident_mb": "resident MB",
    "disk_mb": "disk MB, beside the ledger",
}

Figures = Mapping[str, float]


async def measure_memory(sizes: Sequence[int] = SIZES) -> int:
    """Print a table per size; returns the exit code."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            await _fill(home, size)
            figures: dict[str, Figures] = {}
            for kind in track(KINDS, f"{size:,} tasks", console=progress_output(), transient=True):
                figures[kind] = await anyio.to_thread.run_sync(_measured, kind, home, size)
            ledger_mb = (home / "ledger.sqlite3").stat().st_size / 1e6
            table = Table("", *KINDS.values(), title=f"{size:,} tasks; the ledger holds {ledger_mb:.0f} MB")
            for name, title in _ROWS.items():
                table.add_row(title.format(asked=min(_QUERIES, size)), *(_shown(figures[kind][name]) for kind in KINDS))
            output().print(table)
    return 0


def _shown(figure: float) -> str:
    return f"{figure:.3g}" if figure < 100 else f"{figure:.0f}"


def _vectors(count: int, seed: int) -> "Vectors":
    import numpy as np

    dice = np.random.default_rng(seed)
    centres = dice.normal(size=(max(1, count // _IN_A_GROUP), _DIMENSIONS))
    found = centres[dice.integers(0, len(centres), count)] + 0.5 * dice.normal(size=(count, _DIMENSIONS))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


async def _fill(home: Path, size: int) -> None:
    vectors = _vectors(size, seed=1)
    async with _ledger(home) as ledger:
        for start in range(0, size, _BATCH):
            ids = [f"task-{number:026d}" for number in range(start, min(start + _BATCH, size))]
            await _store(ledger, ids, vectors[start : start + _BATCH], begun_at=float(start))


async def _store(ledger: Ledger, ids: Sequence[str], vectors: "Vectors", *, begun_at: float) -> None:
    def write(db: sqlite3.Connection) -> None:
        db.executemany(
            "INSERT INTO tasks (id, kind, begun_at, text, task_type, complexity, local_only, status)"
            " VALUES (?, 'delegation', ?, 'a made-up task', 'other', 1.0, 0, 'succeeded')",
            [(task_id, begun_at) for task_id in ids],
        )

    await ledger.write(write)
    await embeddings.store(ledger, _EMBEDDER, ids, vectors)


@contextlib.asynccontextmanager
async def _ledger(home: Path) -> AsyncGenerator[Ledger]:
    ledger = await Ledger.open(home, lambda: dt.datetime.now(dt.UTC))
    try:
        yield ledger
    finally:
        await ledger.aclose()


def _measured(kind: str, home: Path, size: int) -> Figures:
    with contextlib.ExitStack() as stack:
        url, server = stack.enter_context(_chroma_server(home / "server")) if kind == "server" else ("", None)
        built = _in_own_process("build", kind, home, size, url)
        figures = {**built, **_in_own_process("use", kind, home, size, url)}
        if server is not None:
            figures["resident_mb"] += resident_mb(server.pid) or _UNKNOWN
    where = {"chroma": home / "index", "server": home / "server"}.get(kind)
    figures["disk_mb"] = 0.0 if where is None else sum(f.stat().st_size for f in where.rglob("*") if f.is_file()) / 1e6
    return figures


def _in_own_process(what: str, kind: str, home: Path, size: int, url: str) -> Figures:
    command = [sys.executable, "-m", "chargehand.evaluation.bench.memory", what, kind, str(home), str(size), url]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=_LIMIT_S)
    return json.loads(done.stdout)


@contextlib.contextmanager
def _chroma_server(folder: Path) -> Generator[tuple[str, "subprocess.Popen[bytes]"]]:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [str(Path(sys.executable).with_name("chroma")), "run", "--path", str(folder), "--host", "127.0.0.1"]
    with subprocess.Popen([*command, "--port", port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            # The keeper retries until the server is up.
            yield f"http://127.0.0.1:{port}", server
        finally:
            server.kill()


class _NoStorage:
    """No Chroma at all: the keeper keeps using exact search."""

    filling_threshold = 0

    async def open(self) -> Opened:
        raise IndexUnavailable("this is the exact search")

    async def renew(self) -> Opened:
        raise IndexUnavailable("this is the exact search")

    def filling(self, index: VectorIndex) -> contextlib.AbstractAsyncContextManager[Filling]:  # noqa: ARG002 - there is none
        raise IndexUnavailable("this is the exact search")

    async def note(self, row: int) -> None:
        """Nothing."""

    async def aclose(self) -> None:
        """Nothing."""


def _storage(kind: str, home: Path, url: str, ledger: Ledger) -> IndexStorage:
    match kind:
        case "chroma":
            return ChromaSlot(home / "index", _EMBEDDER)
        case "server":
            return ChromaServer(url, ledger, _EMBEDDER)
        case _:
            return _NoStorage()


async def _own_process(what: str, kind: str, home: str, size: str, url: str) -> None:
    async with _ledger(Path(home)) as ledger:
        keeper = IndexKeeper(
            ledger,
            _EMBEDDER,
            _storage(kind, Path(home), url, ledger),
            capacity=10**7,
            exact_up_to=10**7,
            retry_after_s=0.5,
        )
        wanted = "unavailable" if kind == "exact" else "ready"
        async with anyio.create_task_group() as group:
            begun = time.perf_counter()
            keeper.start(group)
            if what == "build":
                await _until(keeper, wanted)
                figures = {"rebuild_s": time.perf_counter() - begun}
            else:
                figures = await _use(keeper, ledger, int(size), wanted, begun)
            sys.stdout.write(json.dumps(figures))
            group.cancel_scope.cancel()
        await keeper.aclose()


async def _use(keeper: IndexKeeper, ledger: Ledger, size: int, wanted: str, begun: float) -> Figures:
    vectors = _vectors(size, seed=1)
    made_s = time.perf_counter() - begun
    await keeper.nearest(vectors[0], _NEIGHBOURS, patience_s=_LIMIT_S)
    first_answer_s = time.perf_counter() - begun - made_s
    await _until(keeper, wanted)
    open_s = time.perf_counter() - begun - made_s
    chosen = random.Random(7).sample(range(size), min(_QUERIES, size))  # noqa: S311 - a sample, no secret
    await _asked(keeper, vectors[chosen[:20]])  # warm
    answers, nearest_ms = await _asked(keeper, vectors[chosen])
    found = sum(answer == f"task-{number:026d}" for answer, number in zip(answers, chosen, strict=True))
    recorded_ms: list[float] = []
    visible_ms: list[float] = []
    for number, vector in enumerate(_vectors(50, seed=2)):
        at = time.perf_counter()
        await _store(ledger, [f"{wanted}-{at}-{number}"], vector[None], begun_at=time.time())
        recorded_ms.append((time.perf_counter() - at) * 1e3)
        visible_ms += (await _asked(keeper, vector[None]))[1]
    return {
        "first_answer_s": first_answer_s,
        "open_s": open_s,
        "nearest_p50_ms": _quantile(nearest_ms, 0.5),
        "nearest_p99_ms": _quantile(nearest_ms, 0.99),
        "record_p50_ms": _quantile(recorded_ms, 0.5),
        "visible_p50_ms": _quantile(visible_ms, 0.5),
        "found": found,
        "resident_mb": resident_mb("self") or _UNKNOWN,
    }


async def _until(keeper: IndexKeeper, phase: str) -> None:
    with anyio.fail_after(_LIMIT_S):
        while keeper.state.phase != phase:  # noqa: ASYNC110 - there is nothing to wait on, only a state
            await anyio.sleep(0.01)


async def _asked(keeper: IndexKeeper, vectors: "Vectors") -> tuple[list[str | None], list[float]]:
    answers: list[str | None] = []
    took_ms: list[float] = []
    for vector in vectors:
        at = time.perf_counter()
        near = await keeper.nearest(vector, _NEIGHBOURS, patience_s=_LIMIT_S)
        took_ms.append((time.perf_counter() - at) * 1e3)
        answers.append(near[0].task_id if near else None)
    return answers, took_ms


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


if __name__ == "__main__":
    what, kind, home, size, url = sys.argv[1:]
    logging.disable(logging.WARNING)  # exact search warns that Chroma is missing
    anyio.run(_own_process, what, kind, home, size, url)
