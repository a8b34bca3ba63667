"""From similar tasks to what may be expected of each model: neighbours and their outcomes, weighed.

A model's belief is a sum over distinct similar tasks. Each counts at most 1, times

    similarity   1 at cosine 1, falling to 0 at the embedder's threshold
    strength     an executed check 1, the user's word 0.8, static findings 0.2
    age          halved every 90 days
    build        a quarter when the model's weights are others than today's

One task gives one verdict on a model, and a task recorded again is the same task (`duplicates`): of
its verdicts the newest counts. With the prior of two tasks at 0.6, five distinct executed successes at
full weight open a gate at 0.8 confidence, three or four do not.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ..profiles.routing_rules import Prior
from ..profiles.vocabulary import TaskType
from .confidence import Belief
from .duplicates import group_duplicates
from .embeddings import decode
from .ledger import Ledger
from .recollection import Recollection

_STRENGTH = {"executed": 1.0, "word": 0.8, "static": 0.2}
_HALF_LIFE_DAYS = 90.0
"""Our own estimate: models, prompts and projects change over months, and nothing here measures it yet."""
_OTHER_BUILD = 0.25
_FALL = 3
"""Of weight with distance, as a power: a reworded task (cosine 0.8 where the threshold is 0.5) keeps 0.94."""
_GENERAL_TASKS = 10.0
"""As many pruned tasks give half of the weight that all of them together can have: that of one task."""
_SECONDS_PER_DAY = 86_400.0


class Similar(Protocol):
    """What an index says of a remembered task."""

    @property
    def task_id(self) -> str: ...
    @property
    def similarity(self) -> float: ...


@dataclass(frozen=True)
class Question:
    """For whom and from where one looks back."""

    embedder: str
    """The id of the embedder whose vectors are compared."""
    similar_from: float
    """Its threshold: tasks less similar do not count."""
    prior: Prior
    now: dt.datetime
    task_type: TaskType | None = None
    """Of the task that is asked about: pruned tasks of other types do not count. None: all do."""
    builds: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """Today's build of each model, by profile id. Absent or None: not known, and no build counts less."""
    gate: float = 0.8
    """Confidence above which a model is sure enough to be asked first, 0 to 1."""
    preference: Sequence[str] = ()
    """Profile ids of the models that can be asked, cheapest first. Empty: any, and none is preferred."""


@dataclass(frozen=True)
class Verdict:
    """How a model did on one task."""

    model: str
    success: float
    """0 to 1."""
    strength: float
    at: float
    """Seconds since 1970 UTC."""
    build: str | None


async def recall(ledger: Ledger, neighbours: Sequence[Similar], question: Question) -> Recollection:
    """What the outcomes of the neighbours say of each model."""
    near = {n.task_id: min(1.0, n.similarity) for n in neighbours if n.similarity >= question.similar_from}
    tasks = await _tasks(ledger, tuple(near), question.embedder)
    near = {task_id: similarity for task_id, similarity in near.items() if task_id in tasks.vectors}
    general = await _general(ledger, question.task_type)
    if not near:
        return Recollection(beliefs=general)
    return sum_up(near, await _verdicts(ledger, tuple(near)), _groups(tuple(near), tasks), general, question)


def sum_up(
    near: Mapping[str, float],
    verdicts: Mapping[str, Sequence[Verdict]],
    groups: Iterable[Sequence[str]],
    general: Mapping[str, Belief],
    question: Question,
) -> Recollection:
    """The decision of `recall`, from plain values.

    near: similarity by task id. verdicts: by task id, one for each model. groups: the task ids, those
    of one task together. general: what is known of each model apart from similar tasks.
    """
    successes: defaultdict[str, float] = defaultdict(float)
    failures: defaultdict[str, float] = defaultdict(float)
    evidence = 0.0
    for group in groups:
        weights = [0.0]
        for verdict, task_id in _newest(group, verdicts):
            weight = similarity_weight(near[task_id], question.similar_from) * _weight(verdict, question)
            successes[verdict.model] += weight * verdict.success
            failures[verdict.model] += weight * (1 - verdict.success)
            weights.append(weight)
        evidence += max(weights)
    similar = {model: Belief(successes[model], failures[model]) for model in successes}
    beliefs = {model: _together(similar.get(model), general.get(model)) for model in sorted({*similar, *general})}
    best = _best([model for model in similar if successes[model] > 0], beliefs, question)
    return Recollection(
        best_model=best,
        best_model_confidence=beliefs[best].confidence(question.prior) if best else 0.0,
        similar_tasks=len(near),
        evidence=evidence,
        beliefs=beliefs,
    )


def similarity_weight(similarity: float, similar_from: float) -> float:
    """What a task this similar counts: 1 at similarity 1, little less for a rewording, 0 from the threshold down."""
    if similarity <= similar_from:
        return 0.0
    return 1.0 - ((1.0 - min(1.0, similarity)) / (1.0 - similar_from)) ** _FALL


def verdict_of(model: str, rows: Sequence[tuple[str, float, float, str | None]]) -> Verdict:
    """The one verdict of a task on a model.

    rows: (kind, success, at, build), at least one, kinds as in the ledger's view `evidence`. The user's
    bad word outweighs a check that passed: the check missed something. Otherwise what was executed
    comes first, then the word, then static findings; among equals the newest.
    """
    build = next((build for *_, build in sorted(rows, key=lambda row: -row[2]) if build is not None), None)
    bad_words = [row for row in rows if row[0] == "word" and row[1] < 0.5]
    has_failed = any(kind == "executed" and success < 0.5 for kind, success, *_ in rows)
    candidates = bad_words if bad_words and not has_failed else rows
    kind, success, at, _ = max(candidates, key=lambda row: (_STRENGTH[row[0]], row[2]))
    return Verdict(model, success, _STRENGTH[kind], at, build)


def _newest(group: Sequence[str], verdicts: Mapping[str, Sequence[Verdict]]) -> Iterable[tuple[Verdict, str]]:
    """The newest verdict of a group on each model, and the task it is from."""
    newest: dict[str, tuple[Verdict, str]] = {}
    for task_id in group:
        for verdict in verdicts.get(task_id, ()):
            known = newest.get(verdict.model)
            if known is None or verdict.at > known[0].at:
                newest[verdict.model] = (verdict, task_id)
    return newest.values()


def _weight(verdict: Verdict, question: Question) -> float:
    # A clock that was set back makes the past lie ahead: that is new, not more than new.
    age_days = max(0.0, question.now.timestamp() - verdict.at) / _SECONDS_PER_DAY
    today = question.builds.get(verdict.model)
    is_other = today is not None and verdict.build is not None and verdict.build != today
    return verdict.strength * 0.5 ** (age_days / _HALF_LIFE_DAYS) * (_OTHER_BUILD if is_other else 1.0)


def _together(similar: Belief | None, general: Belief | None) -> Belief:
    one, other = similar or Belief(), general or Belief()
    return Belief(one.successes + other.successes, one.failures + other.failures)


def _best(models: Sequence[str], beliefs: Mapping[str, Belief], question: Question) -> str | None:
    """The cheapest of the models that are sure enough; where none is, the surest of those that can be asked."""
    place = {model: position for position, model in enumerate(question.preference)}
    confidence = {model: beliefs[model].confidence(question.prior) for model in models if not place or model in place}

    def rank(model: str) -> tuple[bool, float, int, str]:
        is_sure = confidence[model] > question.gate
        return (not is_sure, 0.0 if is_sure else -round(confidence[model], 2), place.get(model, 0), model)

    return min(confidence, key=rank, default=None)


@dataclass(frozen=True)
class _Tasks:
    vectors: Mapping[str, bytes]
    texts: Mapping[str, str]


def _groups(ids: Sequence[str], tasks: _Tasks) -> tuple[tuple[str, ...], ...]:
    return group_duplicates(ids, decode([tasks.vectors[task_id] for task_id in ids]), tasks.texts)


async def _tasks(ledger: Ledger, ids: Sequence[str], embedder: str) -> _Tasks:
    rows = await ledger.rows(
        "SELECT t.id, e.vector, CASE WHEN t.text_form = 'full' THEN t.text END"  # noqa: S608 - question marks
        " FROM remembered_tasks t JOIN embeddings e ON e.task_id = t.id AND e.embedder = ?"
        f" WHERE t.id IN ({_marks(ids)})",
        (embedder, *ids),
    )
    return _Tasks(
        vectors={task_id: vector for task_id, vector, _ in rows},
        texts={task_id: text for task_id, _, text in rows if text is not None},
    )


async def _verdicts(ledger: Ledger, ids: Sequence[str]) -> Mapping[str, Sequence[Verdict]]:
    # The user's word is on a task, and the build of the model that did it stands with its attempts. The plus
    # keeps SQLite from going through all attempts of the model instead.
    rows = await ledger.rows(
        "SELECT task_id, model, kind, success, at, COALESCE(build, (SELECT a.build FROM attempts a"  # noqa: S608 - the same
        "  WHERE a.task_id = e.task_id AND +a.model = e.model ORDER BY a.begun_at DESC LIMIT 1))"
        f" FROM evidence e WHERE task_id IN ({_marks(ids)})",
        tuple(ids),
    )
    found: defaultdict[tuple[str, str], list[tuple[str, float, float, str | None]]] = defaultdict(list)
    for task_id, model, kind, success, at, build in rows:
        found[task_id, model].append((kind, float(success), at, build))
    verdicts: defaultdict[str, list[Verdict]] = defaultdict(list)
    for (task_id, model), facts in found.items():
        verdicts[task_id].append(verdict_of(model, facts))
    return verdicts


async def _general(ledger: Ledger, task_type: TaskType | None) -> dict[str, Belief]:
    """What pruned tasks say of each model: however many there were, never more than one task does."""
    rows: list[tuple[Any, ...]] = await ledger.rows(
        "SELECT model, SUM(successes), SUM(failures) FROM aggregates WHERE ?1 IS NULL OR task_type = ?1"
        " GROUP BY model HAVING SUM(successes) + SUM(failures) > 0",
        (task_type,),
    )
    return {model: _shrunk(Belief(successes, failures)) for model, successes, failures in rows}


def _shrunk(belief: Belief) -> Belief:
    scale = 1.0 / (belief.evidence + _GENERAL_TASKS)
    return replace(belief, successes=belief.successes * scale, failures=belief.failures * scale)


def _marks(ids: Sequence[str]) -> str:
    return ", ".join("?" * len(ids))
