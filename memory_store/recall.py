"""Estimates each model's success from the outcomes of similar tasks.

The probability that a model solves the task comes from all near tasks (`tendency`). The confidence in a model
comes from similar tasks only: its belief is a weighted sum over distinct ones. Each counts at most 1, times

    similarity   1 at cosine 1, falling to 0 at the embedder's threshold
    strength     executed check 1, user report 0.8, static check 0.2
    age          halved every 90 days
    build        a quarter when the model's build has changed since

Each task gives one verdict per model; of duplicates (`duplicates`) the newest verdict counts. With the prior of
two tasks at 0.6, five distinct executed successes at full weight reach a confidence of 0.8; four do not.
"""

import datetime as dt
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..profiles.routing_rules import Prior
from ..profiles.vocabulary import TaskType
from .confidence import Belief, belief_of
from .duplicates import group_duplicates
from .embeddings import decode
from .ledger import Ledger
from .recollection import Recollection
from .tendency import Outcomes, Traits, expected_successes
from .text_traits import FLOOR, traits_of
from .verdict import TaskVerdict, newest, verdict_of, weight_of

if TYPE_CHECKING:
    from .index.vector_index import Neighbour, Vector

_FALL = 3
"""Exponent of the weight's decline with distance: a reworded task (cosine 0.8, threshold 0.5) keeps 0.94."""
_SIMILAR_AT_MOST = 32
"""Nearest tasks considered for similarity; the others count only for tendencies."""
PLENTY = 64
_CLOSE = 0.3
"""Fraction of the way from the threshold to identity. When PLENTY tasks are at least that similar, farther ones
add cost but no information; in a set of contest problems that holds for one task in 100."""
_GENERAL_TASKS = 10.0
"""Number of pruned tasks at which their total weight reaches half its maximum, which is that of one task."""


@dataclass(frozen=True)
class RecallQuery:
    """The parameters of a recall."""

    embedder: str
    """The id of the embedder whose vectors are compared."""
    similar_from: float
    """The embedder's similarity threshold; less similar tasks do not count."""
    prior: Prior
    now: dt.datetime
    task_type: TaskType | None = None
    """The task's type; pruned tasks of other types do not count. None: all count."""
    builds: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """Each model's current build by profile id. Absent or None: not known, so no build is discounted."""
    gate: float = 0.8
    """Confidence above which a model may be chosen first, 0 to 1."""
    preference: Sequence[str] = ()
    """Profile ids of available models, cheapest first. Empty: any model, without preference."""
    text: str = ""
    """The task's text."""
    complexity: float | None = None
    """The task's complexity, 1 to 10. None: not known."""
    vector: "Vector | None" = None
    """The task's vector. None: tendencies are not estimated."""
    expected: Mapping[str, Belief] = field(default_factory=dict[str, Belief])
    """Beliefs independent of memory, by profile id. Absent: the prior."""


@dataclass(frozen=True)
class _Tasks:
    vectors: Mapping[str, bytes]
    complexity: Mapping[str, float]
    texts: Mapping[str, str]


_NONE = _Tasks({}, {}, {})


def are_plenty(neighbours: "Sequence[Neighbour]", similar_from: float) -> bool:
    """Whether the neighbours, nearest first, are so many and so similar that farther ones are not needed."""
    close = similar_from + _CLOSE * (1 - similar_from)
    return len(neighbours) >= PLENTY and neighbours[PLENTY - 1].similarity >= close


async def recall(ledger: Ledger, neighbours: "Sequence[Neighbour]", question: RecallQuery) -> Recollection:
    """Evidence on each model from the neighbours' outcomes. neighbours: nearest first."""
    tasks = await _tasks(ledger, [n.task_id for n in neighbours], question.embedder) if neighbours else _NONE
    around = {n.task_id: n.similarity for n in neighbours if n.task_id in tasks.vectors}
    near = {task_id: at for task_id, at in list(around.items())[:_SIMILAR_AT_MOST] if at >= question.similar_from}
    general = await _pruned_beliefs(ledger, question.task_type)
    if not around:
        return Recollection(beliefs=general)
    verdicts = await _verdicts(ledger, tuple(around))
    groups = _groups(tuple(around), tasks)
    chances, known = _chances(tasks, verdicts, groups, general, question)
    if not near:
        return Recollection(beliefs=general, chances=chances, tasks_known=known)
    similar = [group for group in (tuple(t for t in group if t in near) for group in groups) if group]
    return replace(sum_up(near, verdicts, similar, general, question), chances=chances, tasks_known=known)


def sum_up(
    near: Mapping[str, float],
    verdicts: Mapping[str, Sequence[TaskVerdict]],
    groups: Iterable[Sequence[str]],
    general: Mapping[str, Belief],
    question: RecallQuery,
) -> Recollection:
    """The beliefs and the best model, computed from plain values.

    near: similarity by task id. verdicts: by task id, one per model. groups: task ids grouped by
    `duplicates`. general: beliefs about each model apart from similar tasks.
    """
    successes: defaultdict[str, float] = defaultdict(float)
    failures: defaultdict[str, float] = defaultdict(float)
    evidence = 0.0
    for group in groups:
        weights = [0.0]
        for verdict, task_id in newest(group, verdicts):
            weight = similarity_weight(near[task_id], question.similar_from) * weight_of(
                verdict, question.now, question.builds
            )
            successes[verdict.model] += weight * verdict.success
            failures[verdict.model] += weight * (1 - verdict.success)
            weights.append(weight)
        evidence += max(weights)
    similar = {model: Belief(successes[model], failures[model]) for model in successes}
    beliefs = {model: _sum_of(similar.get(model), general.get(model)) for model in sorted({*similar, *general})}
    best = _best([model for model in similar if successes[model] > 0], beliefs, question)
    return Recollection(
        best_model=best,
        best_model_confidence=beliefs[best].confidence(question.prior) if best else 0.0,
        similar_tasks=len(near),
        evidence=evidence,
        beliefs=beliefs,
    )


def _chances(
    tasks: _Tasks,
    verdicts: Mapping[str, Sequence[TaskVerdict]],
    groups: Iterable[Sequence[str]],
    general: Mapping[str, Belief],
    question: RecallQuery,
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """The success probability of each model in question or with a near outcome, and the weight of near tasks with
    an outcome of the model; both by profile id."""
    informed = [(group[0], found) for group in groups if (found := {v.model: v for v, _ in newest(group, verdicts)})]
    if not informed or question.vector is None:
        return {}, {}
    import numpy as np

    models = sorted({*question.expected, *(model for _, found in informed for model in found)})
    column = {model: place for place, model in enumerate(models)}
    success = np.zeros((len(informed), len(models)))
    weights = np.zeros_like(success)
    for row, (_, found) in enumerate(informed):
        for verdict in found.values():
            success[row, column[verdict.model]] = verdict.success
            weights[row, column[verdict.model]] = weight_of(verdict, question.now, question.builds)
    ids = [task_id for task_id, _ in informed]
    near_traits = [_traits(tasks.texts.get(task_id), tasks.complexity[task_id]) for task_id in ids]
    chances = expected_successes(
        Outcomes(models, success, weights),
        decode([tasks.vectors[task_id] for task_id in ids]),
        question.vector,
        Traits(np.array(near_traits), np.array(_traits(question.text, question.complexity)), FLOOR),
        [_sum_of(general.get(model), _prior_belief(model, question)) for model in models],
    )
    return chances, dict(zip(models, weights.sum(axis=0).tolist(), strict=True))


def _prior_belief(model: str, question: RecallQuery) -> Belief:
    prior = question.prior
    return question.expected.get(model) or belief_of(prior.success, prior.tasks)


def _traits(text: str | None, complexity: float | None) -> tuple[float, ...]:
    form = (math.nan,) * (len(FLOOR) - 1) if text is None else traits_of(text)
    return (*form, math.nan if complexity is None else complexity)


def similarity_weight(similarity: float, similar_from: float) -> float:
    """Weight by similarity: 1 at similarity 1, slightly less for a rewording, 0 at the threshold and below."""
    if similarity <= similar_from:
        return 0.0
    return 1.0 - ((1.0 - min(1.0, similarity)) / (1.0 - similar_from)) ** _FALL


def _sum_of(similar: Belief | None, general: Belief | None) -> Belief:
    one, other = similar or Belief(), general or Belief()
    return Belief(one.successes + other.successes, one.failures + other.failures)


def _best(models: Sequence[str], beliefs: Mapping[str, Belief], question: RecallQuery) -> str | None:
    """The cheapest model whose confidence exceeds the gate; if none does, the one with the highest confidence."""
    place = {model: position for position, model in enumerate(question.preference)}
    confidence = {model: beliefs[model].confidence(question.prior) for model in models if not place or model in place}

    def rank(model: str) -> tuple[bool, float, int, str]:
        is_sure = confidence[model] > question.gate
        return (not is_sure, 0.0 if is_sure else -round(confidence[model], 2), place.get(model, 0), model)

    return min(confidence, key=rank, default=None)


def _groups(ids: Sequence[str], tasks: _Tasks) -> tuple[tuple[str, ...], ...]:
    return group_duplicates(ids, decode([tasks.vectors[task_id] for task_id in ids]), tasks.texts)


async def _tasks(ledger: Ledger, ids: Sequence[str], embedder: str) -> _Tasks:
    rows = await ledger.rows(
        "SELECT t.id, e.vector, t.complexity, CASE WHEN t.text_form = 'full' THEN t.text END"
        " FROM remembered_tasks t JOIN embeddings e ON e.task_id = t.id AND e.embedder = ?"
        " WHERE t.id IN (SELECT value FROM json_each(?))",
        (embedder, json.dumps([*ids])),
    )
    return _Tasks(
        vectors={task_id: vector for task_id, vector, *_ in rows},
        complexity={task_id: complexity for task_id, _, complexity, _ in rows},
        texts={task_id: text for task_id, *_, text in rows if text is not None},
    )


async def _verdicts(ledger: Ledger, ids: Sequence[str]) -> Mapping[str, Sequence[TaskVerdict]]:
    # User reports refer to a task; the model's build is stored with its attempts. The unary plus
    # keeps SQLite from scanning all attempts of the model, and placeholders, instead of a subquery
    # for the ids, from scanning all evidence.
    rows = await ledger.rows(
        "SELECT task_id, model, kind, success, at, COALESCE(build, (SELECT a.build FROM attempts a"  # noqa: S608 - placeholders
        "  WHERE a.task_id = e.task_id AND +a.model = e.model ORDER BY a.begun_at DESC LIMIT 1))"
        f" FROM evidence e WHERE task_id IN ({', '.join('?' * len(ids))})",
        tuple(ids),
    )
    found: defaultdict[tuple[str, str], list[tuple[str, float, float, str | None]]] = defaultdict(list)
    for task_id, model, kind, success, at, build in rows:
        found[task_id, model].append((kind, float(success), at, build))
    verdicts: defaultdict[str, list[TaskVerdict]] = defaultdict(list)
    for (task_id, model), facts in found.items():
        verdicts[task_id].append(verdict_of(model, facts))
    return verdicts


async def _pruned_beliefs(ledger: Ledger, task_type: TaskType | None) -> dict[str, Belief]:
    """Evidence from pruned tasks per model, with a total weight below that of one task."""
    rows: list[tuple[Any, ...]] = await ledger.cached_rows(
        "SELECT model, SUM(successes), SUM(failures) FROM aggregates"
        " WHERE origin <> 'evaluation' AND (?1 IS NULL OR task_type = ?1)"
        " GROUP BY model HAVING SUM(successes) + SUM(failures) > 0",
        (task_type,),
    )
    return {model: _shrunk(Belief(successes, failures)) for model, successes, failures in rows}


def _shrunk(belief: Belief) -> Belief:
    scale = 1.0 / (belief.evidence + _GENERAL_TASKS)
    return replace(belief, successes=belief.successes * scale, failures=belief.failures * scale)
