"""Rows of public outcome data sets: a prompt with the results of several models."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ...profiles.vocabulary import TaskType
from .portable import PortableImportedOutcome, PortableTask

_Name = Annotated[str, Field(min_length=1, max_length=400)]


class _Open(BaseModel):
    # Additional columns of a data set are ignored.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)


def _as_share(correct: object) -> object:
    return float(correct) if isinstance(correct, bool) else correct


class ModelOutcome(_Open):
    correct: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), BeforeValidator(_as_share)]
    """1 or true: correct; a fraction: the share of correct tries."""
    cost_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class OutcomeRow(_Open):
    task_id: _Name
    prompt: Annotated[str, Field(min_length=1)]
    outcomes: Annotated[dict[_Name, ModelOutcome], Field(min_length=1)]


def as_task(
    row: OutcomeRow, *, names: Mapping[str, str], at: float, task_type: TaskType, complexity: float
) -> PortableTask:
    """The row as a task of origin `import`.

    names: profile ids by the data set's model names; other names are kept, and several names of one profile
    are averaged. at: the time of the import. The same row always gets the same id.
    """
    by_model: defaultdict[str, list[ModelOutcome]] = defaultdict(list)
    for name, outcome in row.outcomes.items():
        by_model[names.get(name, name)].append(outcome)
    return PortableTask(
        id=id_of(row),
        kind="delegation",
        begun_at=at,
        finished_at=at,
        text=row.prompt,
        text_form="full",
        task_type=task_type,
        complexity=complexity,
        local_only=False,
        status="imported",
        model=None,
        verified_by=(),
        baseline_model=None,
        baseline_usd=None,
        receipt=None,
        project=None,
        origin="import",
        imported_outcomes=tuple(_mean(model, outcomes, at) for model, outcomes in sorted(by_model.items())),
    )


def id_of(row: OutcomeRow) -> str:
    """A task id that includes a hash of the prompt, since data sets may number their tasks alike."""
    return f"import:{row.task_id}#{hashlib.sha256(row.prompt.encode()).hexdigest()[:8]}"


def _mean(model: str, outcomes: list[ModelOutcome], at: float) -> PortableImportedOutcome:
    costs = [outcome.cost_usd for outcome in outcomes if outcome.cost_usd is not None]
    return PortableImportedOutcome(
        model=model,
        success=sum(outcome.correct for outcome in outcomes) / len(outcomes),
        cost_usd=sum(costs) / len(costs) if costs else None,
        at=at,
    )
