"""Imports histories into the ledger: our own export or a data set of outcomes, plain or gzip.

The whole file is validated before anything is written; one invalid line rejects it. It is then written in
batches, so that other processes do not wait long. Imports are idempotent, so repeating one completes it
after a kill.
"""

import contextlib
import gzip
import json
import shutil
import tempfile
import zlib
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast

import anyio.to_thread
from pydantic import BaseModel, ValidationError

from ...profiles.validation import first_problem
from ...profiles.vocabulary import TaskType
from ..errors import ImportRefused
from ..ledger import Ledger
from .exporting import Progress
from .merging import Merge, merge_task
from .outcome_rows import OutcomeRow, as_task
from .portable import FORMAT, VERSION, Header, PortableTask

if TYPE_CHECKING:
    import sqlite3

Assess = Callable[[str], tuple[TaskType, float]]
"""Returns the type and complexity of a task's text."""


class Embed(Protocol):
    """Returns the embedder's id and the texts' vectors, in the ledger's format."""

    def __call__(self, texts: Sequence[str], *, local_only: bool) -> Awaitable[tuple[str, Sequence[bytes]]]: ...


_Row = TypeVar("_Row", bound=BaseModel)

_BATCH = 250
_LINE_BYTES = 64 * 2**20
_PROBLEMS_AT_MOST = 10


@dataclass(frozen=True)
class ImportReport:
    """The number of tasks in a file, by result."""

    format: Literal["chargehand-memory", "outcomes"]
    added: int = 0
    merged: int = 0
    """Already known, and extended by the import."""
    unchanged: int = 0
    pruned: int = 0
    """Pruned here, so already in the aggregates; not written."""
    forgotten: int = 0
    """Forgotten here; not written."""

    @property
    def tasks(self) -> int:
        return self.added + self.merged + self.unchanged + self.pruned + self.forgotten


@dataclass(frozen=True)
class ImportRules:
    """Options of an import."""

    assess: Assess
    """For data sets, which state neither type nor complexity."""
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """Profile ids by the data set's model names."""
    restore: bool = False
    """True: also import tasks that were forgotten here."""
    embed: Embed | None = None
    """For full texts that the ledger will not store in full. None: these get no vector and are not recalled."""


async def import_memory(
    ledger: Ledger, file: Path | IO[bytes], rules: ImportRules, progress: Progress | None = None
) -> ImportReport:
    """Merge a file into the ledger.

    file: a path, or an open stream, which messages call standard input. A stream that cannot be rewound, such as a
    pipe, is copied to a temporary file. Raises ImportRefused for an invalid line, before anything is written;
    LedgerUnusable; or OSError for the file.
    """
    vector_bytes = dict(await ledger.rows("SELECT embedder, LENGTH(MIN(vector)) FROM embeddings GROUP BY embedder"))
    name = str(file) if isinstance(file, Path) else "standard input"
    at = ledger.clock().timestamp()

    def take(lines: Iterator["_Line"]) -> list[PortableTask]:
        return [_task(line, kind, rules, at) for line in islice(lines, _BATCH)]

    with contextlib.ExitStack() as opened:
        stream = await anyio.to_thread.run_sync(opened.enter_context, _rereadable(file))
        kind, total = await anyio.to_thread.run_sync(_examine, stream, name, vector_bytes)
        report = ImportReport(kind)
        lines = _lines(stream, name)
        if kind == FORMAT:
            next(lines, None)
        while batch := await anyio.to_thread.run_sync(take, lines):
            blobs = await _vectors(batch, ledger, rules)
            fates = await ledger.write(lambda db, batch=batch, blobs=blobs: _merge(db, batch, blobs, ledger, rules))
            report = replace(report, **{fate: getattr(report, fate) + fates.count(fate) for fate in set(fates)})
            if progress is not None:
                progress(report.tasks, total)
    return report


@dataclass(frozen=True)
class _Line:
    number: int
    content: bytes


class _Bad(Exception):
    """A line is invalid; the message says why."""


def _examine(
    stream: IO[bytes], name: str, vector_bytes: dict[str, int]
) -> tuple[Literal["chargehand-memory", "outcomes"], int]:
    """Validate the file; its format and number of tasks. Raises ImportRefused."""
    problems: list[str] = []
    header: Header | None = None
    tasks = 0
    kind: Literal["chargehand-memory", "outcomes"] | None = None
    for line in _lines(stream, name):
        try:
            if kind is None:
                header = _header(line.content)
                kind = "outcomes" if header is None else FORMAT
                if header is not None:
                    continue
            tasks += 1
            if kind == FORMAT:
                _check_vectors(_parsed(PortableTask, line.content), vector_bytes)
            else:
                _parsed(OutcomeRow, line.content)
        except _Bad as bad:
            problems.append(f"line {line.number}: {bad}")
            if len(problems) == _PROBLEMS_AT_MOST or kind is None:
                break
    if problems:
        raise ImportRefused(
            f"{name} was not imported, not even in part. Correct or remove these lines:\n" + "\n".join(problems)
        )
    if kind is None:
        raise ImportRefused(f"{name} is empty: there is nothing to import.")
    if header is not None and tasks != header.tasks:
        raise ImportRefused(
            f"{name} was not imported: its first line promises {header.tasks} tasks and {tasks} follow."
            " It was cut off, or changed: export or copy it again, or correct `tasks` in the first line."
        )
    return kind, tasks


def _header(content: bytes) -> Header | None:
    """The header of an export; None: a data set. Raises _Bad for anything else."""
    try:
        first = json.loads(content)
    except ValueError as error:
        raise _Bad(f"it is not JSON ({error})") from error
    if isinstance(first, dict):
        if "outcomes" in first and "format" not in first and "kind" not in first:
            return None
        if first.get("format") == FORMAT:  # pyright: ignore[reportUnknownMemberType] - JSON may hold anything
            header = _parsed(Header, content)
            if header.version != VERSION:
                raise _Bad(
                    f"version is {header.version}, and this Chargehand reads {VERSION}."
                    " Upgrade it, or export again with this version"
                )
            return header
    raise _Bad(
        f'it should be {{"format": "{FORMAT}", …}}, as `chargehand memory export` writes it,'
        ' or a row {"task_id", "prompt", "outcomes"} of a data set'
    )


def _parsed(row: type[_Row], content: bytes) -> _Row:
    try:
        return row.model_validate_json(content)
    except ValidationError as error:
        raise _Bad(first_problem(error)) from error


def _check_vectors(task: PortableTask, vector_bytes: dict[str, int]) -> None:
    """Reject vectors whose length differs from others of the same embedder, since they cannot be compared."""
    for place, embedding in enumerate(task.embeddings):
        size = len(embedding.blob)
        expected = vector_bytes.setdefault(embedding.embedder, size)
        if size != expected:
            raise _Bad(
                f"embeddings.{place}.vector has {size // 4} dimensions, and {embedding.embedder} has"
                f" {expected // 4} elsewhere. Remove it: vectors are recomputed"
            )


def _task(line: _Line, kind: str, rules: ImportRules, at: float) -> PortableTask:
    if kind == FORMAT:
        return _parsed(PortableTask, line.content)
    row = _parsed(OutcomeRow, line.content)
    task_type, complexity = rules.assess(row.prompt)
    return as_task(row, names=rules.names, at=at, task_type=task_type, complexity=complexity)


async def _vectors(
    batch: Sequence[PortableTask], ledger: Ledger, rules: ImportRules
) -> Mapping[str, Mapping[str, bytes]]:
    """Vectors of tasks whose full text is in the file but will not be stored, by task id and embedder."""
    if rules.embed is None or ledger.text_form == "full":
        return {}
    blobs: dict[str, Mapping[str, bytes]] = {}
    for local_only in (False, True):
        whole = [t for t in batch if t.text_form == "full" and not t.embeddings and t.local_only == local_only]
        if whole:
            embedder, found = await rules.embed([task.text for task in whole], local_only=local_only)
            blobs |= {task.id: {embedder: blob} for task, blob in zip(whole, found, strict=True)}
    return blobs


def _merge(
    db: "sqlite3.Connection",
    batch: Sequence[PortableTask],
    blobs: Mapping[str, Mapping[str, bytes]],
    ledger: Ledger,
    rules: ImportRules,
) -> list[Merge]:
    return [
        merge_task(
            db, _as_of_the_first_import(db, task), blobs.get(task.id, {}), ledger.text_form, restore=rules.restore
        )
        for task in batch
    ]


def _as_of_the_first_import(db: "sqlite3.Connection", task: PortableTask) -> PortableTask:
    """Keep the time of an earlier import of the row, since data sets have none; changed outcomes get the new time."""
    if task.status != "imported":
        return task
    known = db.execute("SELECT begun_at FROM tasks WHERE id = ?", (task.id,)).fetchone()
    if known is None:
        return task
    before: dict[str, list[Any]] = {  # values from SQLite, hence Any
        model: facts
        for model, *facts in db.execute(
            "SELECT model, at, success, cost_usd FROM imported_outcomes WHERE task_id = ?", (task.id,)
        )
    }
    outcomes = tuple(
        outcome.model_copy(update={"at": before[outcome.model][0]})
        if before.get(outcome.model, ())[1:] == [outcome.success, outcome.cost_usd]
        else outcome
        for outcome in task.imported_outcomes
    )
    return task.model_copy(update={"begun_at": known[0], "finished_at": known[0], "imported_outcomes": outcomes})


@contextlib.contextmanager
def _rereadable(file: Path | IO[bytes]) -> Generator[IO[bytes]]:
    with contextlib.ExitStack() as opened:
        stream = opened.enter_context(file.open("rb")) if isinstance(file, Path) else file
        if not stream.seekable():
            kept = opened.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(stream, kept)
            stream = kept
        yield stream


def _unpacked(stream: IO[bytes]) -> IO[bytes]:
    stream.seek(0)
    is_compressed = stream.read(2) == b"\x1f\x8b"
    stream.seek(0)
    # GzipFile supports all we need of IO[bytes], though its type does not say so.
    return cast(IO[bytes], gzip.GzipFile(fileobj=stream)) if is_compressed else stream


def _lines(stream: IO[bytes], name: str) -> Iterator[_Line]:
    """The non-empty lines from the start of the file, numbered from 1."""
    stream = _unpacked(stream)
    number = 0
    try:
        while content := stream.readline(_LINE_BYTES):
            number += 1
            if len(content) == _LINE_BYTES:
                raise ImportRefused(f"{name} was not imported: line {number} is longer than {_LINE_BYTES >> 20} MiB.")
            content = content.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else content.strip()
            if content:
                yield _Line(number, content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ImportRefused(
            f"{name} was not imported: it is cut off or damaged after line {number} ({error}). Copy it again."
        ) from error
