"""Recall: how outcomes of similar tasks are weighted, merged and summed up for each model."""

import dataclasses
import datetime as dt

import numpy as np
import pytest
from ledger_rows import ATTEMPT, CHECK, SETTLEMENT, attempt, delegate, finish, task

from chargehand.memory_store import embeddings
from chargehand.memory_store.confidence import belief_of
from chargehand.memory_store.duplicates import group_duplicates
from chargehand.memory_store.embedding.lexical import embed
from chargehand.memory_store.index.vector_index import Neighbour
from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.recall import (
    RecallQuery,
    TaskVerdict,
    are_plenty,
    recall,
    similarity_weight,
    sum_up,
    verdict_of,
)
from chargehand.profiles.routing_rules import Prior

pytestmark = pytest.mark.anyio

PRIOR = Prior(tasks=2, success=0.6)
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
QUESTION = RecallQuery("lexical-1-256", similar_from=0.5, prior=PRIOR, now=NOW)
GATE = 0.8
THINGS = ("dates", "prices", "names", "colours", "ranges", "weights", "coordinates", "versions", "durations", "emails")


def verdict(model="local", success=1.0, strength=1.0, days_ago=0.0, build=None) -> TaskVerdict:
    return TaskVerdict(model, success, strength, NOW.timestamp() - days_ago * 86_400, build)


def sum_verdicts(*verdicts: TaskVerdict, similarity: float = 1.0, question: RecallQuery = QUESTION):
    """Sum up the verdicts, each of a distinct task."""
    ids = [f"t{number}" for number in range(len(verdicts))]
    return sum_up(
        dict.fromkeys(ids, similarity),
        {task_id: [one] for task_id, one in zip(ids, verdicts, strict=True)},
        [[task_id] for task_id in ids],
        {},
        question,
    )


async def add_delegations(ledger: Ledger, texts, *tries, reported=(), similarity=1.0, prefix="t") -> list[Neighbour]:
    """Add a delegation with these tries for each text; returns them as neighbours."""
    neighbours = []
    for number, text in enumerate(texts):
        task_id = f"{prefix}{number}"
        await ledger.begin_task(task(task_id, text=text))
        await embeddings.store(ledger, QUESTION.embedder, [task_id], embed([text]))
        for model, passed in tries:
            attempt_id = await ledger.reserve(attempt(task_id, model=model), daily_cap_usd=None)
            await ledger.settle(attempt_id, SETTLEMENT)
            check = dataclasses.replace(
                CHECK, task_id=task_id, attempt_id=attempt_id, outcome="passed" if passed else "failed"
            )
            await ledger.record_check(check)
        if tries:
            await ledger.finish_task(task_id, finish(model=tries[-1][0]))
        for report in reported:
            await ledger.record_outcome(task_id, report, None)
        neighbours.append(Neighbour(task_id, similarity))
    return neighbours


@pytest.mark.parametrize(("successes", "opens"), [(1, False), (3, False), (4, False), (5, True), (6, True)])
def test_six_distinct_executed_successes_at_similarity_1_open_the_gate_and_three_do_not(successes, opens):
    recollection = sum_verdicts(*[verdict()] * successes)

    assert recollection.best_model == "local"
    assert (recollection.best_model_confidence > GATE) == opens
    assert recollection.evidence == successes


def test_a_task_that_two_models_tried_counts_as_one_piece_of_evidence():
    verdicts = {"t": [verdict("local"), verdict("cloud", success=0.0)]}

    assert sum_up({"t": 1.0}, verdicts, [["t"]], {}, QUESTION).evidence == 1


async def test_tasks_with_different_texts_and_the_same_embedding_count_separately(ledger):
    neighbours = await add_delegations(ledger, [f"Write a parser for {thing}" for thing in THINGS[:6]], ("local", True))
    vectors = np.repeat(embed(["Write a parser"]), 6, axis=0)
    await embeddings.store(ledger, QUESTION.embedder, [n.task_id for n in neighbours], vectors)

    recollection = await recall(ledger, neighbours, QUESTION)

    assert recollection.best_model_confidence > GATE
    assert (recollection.similar_tasks, recollection.evidence) == (6, 6)


async def test_only_the_32_nearest_similar_tasks_count(ledger):
    near = await add_delegations(ledger, [f"Write a parser for kind {number}" for number in range(32)], prefix="near")
    distant = await add_delegations(ledger, ["Write a parser for dates"], ("local", True), similarity=0.9)

    recollection = await recall(ledger, [*near, *distant], QUESTION)

    assert (recollection.similar_tasks, recollection.evidence, recollection.best_model) == (32, 0, None)


async def test_nine_rewordings_of_a_task_count_as_one_piece_of_evidence(ledger):
    texts = [f"{hello}Write a parser for dates{end}" for hello in ("", "Please ", "HELLO, ") for end in (".", "", "!")]
    neighbours = await add_delegations(ledger, texts, ("local", True))

    recollection = await recall(ledger, neighbours, QUESTION)

    assert recollection.similar_tasks == 9
    assert recollection.evidence == pytest.approx(1)
    assert recollection.beliefs["local"].evidence == pytest.approx(1)
    assert recollection.best_model_confidence < GATE


async def test_only_the_newest_verdict_of_a_repeated_task_counts(ledger, clock):
    first = await add_delegations(ledger, ["Write a parser for dates"], ("local", False), prefix="a")
    clock.advance(hours=1)
    second = await add_delegations(ledger, ["write a parser for dates!"], ("local", True), prefix="b")

    recollection = await recall(ledger, [*first, *second], dataclasses.replace(QUESTION, now=clock()))

    assert recollection.beliefs["local"].failures == 0
    assert recollection.beliefs["local"].successes == pytest.approx(1)


async def test_the_model_that_passes_where_another_keeps_failing_is_best(ledger):
    texts = [f"Write a parser for {thing}" for thing in THINGS[:6]]
    neighbours = await add_delegations(ledger, texts, ("local", False), ("economy", True))

    recollection = await recall(ledger, neighbours, QUESTION)

    assert recollection.best_model == "economy"
    assert recollection.best_model_confidence > GATE
    assert recollection.beliefs["local"].failures == pytest.approx(6)


async def test_a_model_that_repaired_its_own_failure_counts_as_a_success(ledger):
    neighbours = await add_delegations(ledger, ["Write a parser"], ("local", False), ("local", True))

    recollection = await recall(ledger, neighbours, QUESTION)

    assert recollection.beliefs["local"].failures == 0


async def test_a_users_rejection_overrides_a_check_that_passed(ledger):
    neighbours = await add_delegations(ledger, ["Write a parser"], ("local", True), reported=("accepted", "rejected"))

    recollection = await recall(ledger, neighbours, QUESTION)

    assert recollection.best_model is None
    assert recollection.beliefs["local"].failures == pytest.approx(0.8)


async def test_a_users_acceptance_does_not_override_a_check_that_failed(ledger):
    neighbours = await add_delegations(ledger, ["Write a parser"], ("local", False), reported=("accepted",))

    recollection = await recall(ledger, neighbours, QUESTION)

    assert recollection.beliefs["local"].failures == pytest.approx(1)


async def test_a_reported_outcome_alone_counts_with_its_strength_for_the_models_newest_build(ledger, clock):
    await ledger.begin_task(task("t", text="Write a parser"))
    await embeddings.store(ledger, QUESTION.embedder, ["t"], embed(["Write a parser"]))
    for model, build in (("local", "older"), ("local", ATTEMPT.build), ("cloud", "of the cloud")):
        clock.advance(seconds=1)
        await ledger.settle(
            await ledger.reserve(attempt("t", model=model, build=build), daily_cap_usd=None), SETTLEMENT
        )
    await ledger.finish_task("t", finish(model="local", status="unverified"))
    await ledger.record_outcome("t", "accepted", None)
    rebuilt = dataclasses.replace(QUESTION, builds={"local": "another"})
    same = dataclasses.replace(QUESTION, builds={"local": ATTEMPT.build})

    before = await recall(ledger, [Neighbour("t", 1.0)], same)
    after = await recall(ledger, [Neighbour("t", 1.0)], rebuilt)

    assert before.beliefs["local"].successes == pytest.approx(0.8)
    assert after.beliefs["local"].successes == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("static", 0, 1.0, None)], (0, 0.2)),
        ([("static", 0, 1.0, None), ("word", 1, 2.0, None)], (1, 0.8)),
        ([("word", 1, 2.0, None), ("executed", 0, 1.0, "b")], (0, 1.0)),
        ([("word", 0, 2.0, None), ("executed", 0, 1.0, "b")], (0, 1.0)),
        ([("word", 0, 2.0, None), ("executed", 1, 1.0, "b")], (0, 0.8)),
        ([("word", 1, 3.0, None), ("word", 0, 2.0, None)], (0, 0.8)),
        ([("executed", 0.4, 1.0, None), ("executed", 1.0, 2.0, None)], (1.0, 1.0)),
    ],
)
def test_a_task_gives_one_verdict_per_model(rows, expected):
    found = verdict_of("local", rows)

    assert (found.success, found.strength) == expected
    assert found.build == next((build for *_, build in rows if build), None)


def test_less_similar_tasks_weigh_less_and_rewordings_almost_fully():
    weights = [similarity_weight(similarity, 0.5) for similarity in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.2)]

    assert weights == sorted(weights, reverse=True)
    assert weights[0] == 1
    assert weights[2] > 0.9
    assert weights[-2:] == [0, 0]


def test_evidence_halves_in_ninety_days_and_future_dates_count_fully():
    assert sum_verdicts(verdict(days_ago=90)).evidence == pytest.approx(0.5)
    assert sum_verdicts(verdict(days_ago=-90)).evidence == pytest.approx(1)


def test_evidence_of_another_build_counts_a_quarter():
    question = dataclasses.replace(QUESTION, builds={"local": "new"})

    assert sum_verdicts(verdict(build="old"), question=question).evidence == pytest.approx(0.25)
    assert sum_verdicts(verdict(build="new"), question=question).evidence == pytest.approx(1)
    assert sum_verdicts(verdict(build=None), question=question).evidence == pytest.approx(1)


def test_the_cheapest_of_the_models_above_the_gate_is_best():
    both = [verdict("dear"), verdict("cheap")] * 6
    question = dataclasses.replace(QUESTION, preference=("cheap", "dear"))

    assert sum_verdicts(*both, question=question).best_model == "cheap"
    assert sum_verdicts(*both, verdict("dear"), verdict("dear"), question=question).best_model == "cheap"


def test_the_most_certain_model_is_best_when_none_is_above_the_gate():
    mixed_verdicts = [verdict("cheap"), verdict("dear"), verdict("dear")]
    question = dataclasses.replace(QUESTION, preference=("cheap", "dear"))

    assert sum_verdicts(*mixed_verdicts, question=question).best_model == "dear"


def test_the_cheapest_of_nearly_equally_certain_models_is_best():
    nearly_equal = [verdict("cheap", days_ago=0.1), verdict("dear")]
    question = dataclasses.replace(QUESTION, preference=("cheap", "dear"))

    assert sum_verdicts(*nearly_equal, question=question).best_model == "cheap"


def test_a_model_that_is_not_in_the_preference_is_never_best():
    question = dataclasses.replace(QUESTION, preference=("cheap",))

    assert sum_verdicts(*[verdict("gone")] * 6, verdict("cheap"), question=question).best_model == "cheap"


def test_a_model_that_only_failed_is_never_best():
    recollection = sum_verdicts(verdict("local", success=0.0))

    assert recollection.best_model is None
    assert recollection.best_model_confidence == 0


async def test_tasks_below_the_threshold_or_without_an_embedding_do_not_count(ledger):
    near = await add_delegations(ledger, ["Write a parser"], ("local", True), similarity=0.49)
    await delegate(ledger, "bare", ("local", True))

    recollection = await recall(ledger, [*near, Neighbour("bare", 1.0), Neighbour("gone", 1.0)], QUESTION)

    assert (recollection.similar_tasks, recollection.evidence, recollection.best_model) == (0, 0, None)


async def test_a_fractional_success_counts_as_part_success_and_part_failure(ledger):
    neighbours = await add_delegations(ledger, ["Write a parser"])
    await ledger.rows("INSERT INTO imported_outcomes VALUES ('t0', 'opus', 0.25, NULL, ?)", (NOW.timestamp(),))

    belief = (await recall(ledger, neighbours, QUESTION)).beliefs["opus"]

    assert (belief.successes, belief.failures) == pytest.approx((0.25, 0.75))


async def test_aggregates_of_pruned_tasks_shift_a_belief_by_less_than_one_task_and_open_no_gate(ledger):
    texts = [f"Write a parser for {thing}" for thing in THINGS[:3]]
    neighbours = await add_delegations(ledger, texts, ("local", True))
    question = dataclasses.replace(
        QUESTION,
        task_type="code_generation",
        vector=embed(["Write a parser"])[0],
        expected={"cloud": belief_of(PRIOR.success, PRIOR.tasks)},
    )
    before = await recall(ledger, neighbours, question)
    await ledger.write(
        lambda db: db.execute(
            "INSERT INTO aggregates VALUES ('local', 'code_generation', 'use', 1000, 1000, 0, 0),"
            " ('local', 'review', 'use', 1000, 0, 1000, 0),"
            " ('local', 'code_generation', 'evaluation', 1000, 0, 1000, 0),"
            " ('cloud', 'code_generation', 'use', 10, 10, 0, 0)"
        )
    )

    alone = await recall(ledger, [], question)
    with_neighbours = await recall(ledger, neighbours, question)

    assert alone.best_model is None
    assert 0.9 < alone.beliefs["local"].successes < 1
    assert alone.beliefs["cloud"].successes == 0.5
    assert 3.9 < with_neighbours.beliefs["local"].successes < 4
    assert with_neighbours.best_model_confidence < GATE
    assert with_neighbours.chances["cloud"] > before.chances["cloud"]


async def test_hashed_tasks_are_merged_by_their_embeddings_alone(ledger):
    neighbours = await add_delegations(ledger, ["Write a parser for dates"] * 2, ("local", True))
    await ledger.rows("UPDATE tasks SET text = 'hash of ' || id, text_form = 'hash'")

    recollection = await recall(ledger, neighbours, QUESTION)

    assert (recollection.similar_tasks, recollection.evidence) == (2, 1)


@pytest.mark.parametrize(
    ("similarities", "plenty"), [([0.7] * 64, True), ([0.7] * 63, False), ([0.9] * 63 + [0.6], False)]
)
def test_64_close_neighbours_are_enough(similarities, plenty):
    assert are_plenty([Neighbour("t", similarity) for similarity in similarities], 0.5) == plenty


def test_duplicates_without_texts_are_grouped_by_their_embeddings_alone():
    vectors = embed(["Write a parser for dates", "Write a parser for dates", "Write a parser for prices"])

    assert group_duplicates(["a", "b", "c"], vectors, {}) == (("a", "b"), ("c",))


def test_long_texts_that_differ_in_one_sentence_are_grouped_as_duplicates():
    page = " ".join(f"requirement{letter} {thing}" for letter in "abcdefghij" for thing in THINGS)
    texts = {"a": page, "b": page + " Hurry.", "c": "Something else entirely"}

    assert group_duplicates(list(texts), embed(list(texts.values())), texts) == (("a", "b"), ("c",))
