"""`bench predict`: the product's predictions for tasks after importing a file of outcomes.

Memory (in a temporary folder), scorer and prior are the product's own: `route_task` predicts the same after `memory
import` of the same file. Only the search is exact here, while a server's index may miss a distant neighbour.
"""

import json
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import anyio
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from rich.console import Console
from rich.progress import track

from ...memory_store.care.importing import ImportRules, import_memory
from ...memory_store.embedding.lexical import LexicalEmbedder
from ...memory_store.errors import ImportRefused
from ...memory_store.index.exact import ExactIndex
from ...memory_store.index.keeper import IndexKeeper
from ...memory_store.index.vector_index import Filling, Opened, VectorIndex
from ...memory_store.ledger import Ledger
from ...memory_store.memory import Memory
from ...memory_store.pass_rates import NOTHING_MEASURED
from ...profiles.catalogue import Catalogue
from ...profiles.loading import load_catalogue
from ...profiles.validation import first_problem
from ...tools.routing.deciding import analyze, assess
from ...tools.routing.prior import chances_of, prior_beliefs
from ..json_lines import unpacked
from ..unusable import in_words
from .output import output, progress_output, refuse

_PATIENCE_S = 600.0
_GLANCE_S = 0.02
_ANY_NUMBER = 10_000_000
_DIGITS = 6


class AskedTask(BaseModel):
    """A row of a file of tasks; other fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    task_id: str
    text: Annotated[str, Field(validation_alias=AliasChoices("prompt", "text"))]


@dataclass(frozen=True)
class Prediction:
    complexity: float
    """1 to 10."""
    success: Mapping[str, float]
    """Probability of success, by the data set's name of the model."""


class UnknownTasks(ValueError):
    """A file whose rows are not tasks."""


@dataclass(frozen=True)
class Predictor:
    """Predicts with the product's own code, from a memory of outcomes."""

    memory: Memory
    catalogue: Catalogue
    models: Sequence[str]
    """The models with outcomes in the memory."""
    texts: Set[str]
    """The texts of the tasks in the memory."""

    async def predict(self, text: str) -> Prediction:
        job = analyze(text, None, ())
        complexity = job.complexity.score
        prior = self.catalogue.rules.prior
        before = prior_beliefs(self.catalogue, NOTHING_MEASURED, complexity, job.task_type)
        recollection = await self.memory.retrieve_similar(
            text, task_type=job.task_type, complexity=complexity, expected=before
        )
        if recollection.note is not None:
            raise RuntimeError(recollection.note)
        chances = chances_of(before, recollection.chances)
        return Prediction(complexity, {model: chances.get(model, prior.success) for model in self.models})


@asynccontextmanager
async def open_predictor(outcomes: Path) -> AsyncGenerator[Predictor]:
    """Import the file into a temporary memory. Raises ImportRefused, or OSError when there is no such file."""
    catalogue = load_catalogue()
    with tempfile.TemporaryDirectory(prefix="chargehand-predict-") as folder:
        ledger = await Ledger.open(Path(folder), _now)
        try:
            await import_memory(ledger, outcomes, ImportRules(assess=assess))
            rules = catalogue.rules
            embedder = LexicalEmbedder()
            index = IndexKeeper(ledger, embedder.id, _Storage(), capacity=_ANY_NUMBER, exact_up_to=_ANY_NUMBER)
            memory = Memory(
                ledger,
                embedder,
                lambda _: index,
                prior=rules.prior,
                gate=rules.memory_confidence_above,
                patience_s=_PATIENCE_S,
            )
            await memory.embed_missing()
            names = await ledger.rows("SELECT DISTINCT model FROM imported_outcomes ORDER BY model")
            texts = await ledger.rows("SELECT text FROM remembered_tasks")
            async with anyio.create_task_group() as group:
                group.start_soon(memory.keep_up)
                await _ready(index)
                yield Predictor(memory, catalogue, [name for (name,) in names], {text for (text,) in texts})
                group.cancel_scope.cancel()
            await memory.aclose()
        finally:
            await ledger.aclose()


async def predict(outcomes: Path, tasks: Path, out: Path) -> int:
    """Write a row for each task; returns the exit code, 2 when a file cannot be read."""
    console = output(Console(stderr=True))
    try:
        asked = list(read_tasks(tasks))
        if not asked:
            raise UnknownTasks(f"{tasks} is empty. Name a file of tasks.")
        async with open_predictor(outcomes) as predictor:
            known = sum(task.text in predictor.texts for task in asked)
            rows = [
                json.dumps(_row(task, await predictor.predict(task.text))) + "\n"
                for task in track(asked, "predicting", console=progress_output())
            ]
        await anyio.Path(out).write_text("".join(rows), encoding="utf-8")
    except (ImportRefused, UnknownTasks, OSError) as error:
        return refuse(in_words(error, outcomes))
    console.print(f"{out}: {len(asked)} tasks", markup=False)
    if known:
        console.print(
            f"{known} of these texts are in {outcomes} too, with their outcomes: leave them out to judge predictions.",
            markup=False,
            soft_wrap=True,
        )
    return 0


def read_tasks(file: Path) -> Iterator[AskedTask]:
    """The rows of a file of JSON lines, plain or gzip. Raises UnknownTasks, or OSError."""
    for number, line in enumerate(unpacked(file.read_bytes()).splitlines(), start=1):
        if line.strip():
            try:
                yield AskedTask.model_validate_json(line)
            except ValidationError as error:
                wrong = first_problem(error)
                raise UnknownTasks(
                    f"{file}, line {number}: {wrong}. A row needs task_id, and prompt or text."
                ) from error


def _row(task: AskedTask, prediction: Prediction) -> dict[str, object]:
    success = {model: round(chance, _DIGITS) for model, chance in prediction.success.items()}
    return {"task_id": task.task_id, "complexity": prediction.complexity, "success": success}


async def _ready(index: IndexKeeper) -> None:
    """Wait until the index is complete."""
    with anyio.fail_after(_PATIENCE_S):
        while index.state.phase != "ready":  # noqa: ASYNC110 - there is nothing to wait on, only a state
            await anyio.sleep(_GLANCE_S)


def _now() -> datetime:
    return datetime.now(UTC)


class _Storage:
    """Stores nothing: the index is rebuilt each time, and searched exactly."""

    filling_threshold = _ANY_NUMBER

    async def open(self) -> Opened:
        return Opened(ExactIndex(), caught_up=None)

    async def renew(self) -> Opened:
        return Opened(ExactIndex(), caught_up=None)

    @asynccontextmanager
    async def filling(self, index: VectorIndex) -> AsyncGenerator[Filling]:
        yield index

    async def note(self, row: int) -> None:
        """Does nothing."""

    async def aclose(self) -> None:
        """Does nothing."""
