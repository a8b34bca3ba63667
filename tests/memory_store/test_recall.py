"""What similar outcomes say of each model: weights, verdicts, and that one task counts once."""

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


def summed(*verdicts: TaskVerdict, similarity: float = 1.0, question: RecallQuery = QUESTION):
    """Each verdict is of a distinct task."""
    ids = [f"t{number}" for number in range(len(verdicts))]
    return sum_up(
        dict.fromkeys(ids, similarity),
        {task_id: [one] for task_id, one in zip(ids, verdicts, strict=True)},
        [[task_id] for task_id in ids],
        {},
        question,
    )


async def remembered(ledger: Ledger, texts, *tries, words=(), similarity=1.0, prefix="t") -> list[Neighbour]:
    """Delegations of these texts with the same tries, as neighbours."""
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
        for word in words:
            await ledger.record_outcome(task_id, word, None)
        neighbours.append(Neighbour(task_id, similarity))
    return neighbours


@pytest.mark.parametrize(("successes", "opens"), [(1, False), (3, False), (4, False), (5, True), (6, True)])
def test_six_distinct_executed_successes_at_similarity_1_open_the_gate_and_three_do_not(successes, opens):
    recollection = summed(*[verdict()] * successes)

    assert recollection.best_model == "local"
    assert (recollection.best_model_confidence > GATE) == opens
    assert recollection.evidence == successes


def test_a_task_that_two_models_tried_is_one_piece_of_evidence():
    tried = {"t": [verdict("local"), verdict("cloud", success=0.0)]}

    assert sum_up({"t": 1.0}, tried, [["t"]], {}, QUESTION).evidence == 1


async def test_six_tasks_with_different_texts_and_the_same_vector_are_distinct(ledger):
    neighbours = await remembered(ledger, [f"Write a parser for {thing}" for thing in THINGS[:6]], ("local", True))
    vectors = np.repeat(embed(["Write a parser"]), 6, axis=0)
    await embeddings.store(ledger, QUESTION.embedder, [n.task_id for n in neighbours], vectors)

    recollection = await recall(ledger, neighbours, QUESTION)

    assert recollection.best_model_confidence > GATE
    assert (recollection.similar_tasks, recollection.evidence) == (6, 6)


async def test_of_many_similar_tasks_the_nearest_are_evidence_and_the_rest_are_not(ledger):
    near = await remembered(ledger, [f"Write a parser for kind {number}" for number in range(32)], prefix="near")
    farther = await remembered(ledger, ["Write a parser for dates"], ("local", True), similarity=0.9)

    recollection = await recall(ledger, [*near, *farther], QUESTION)

    assert (recollection.similar_tasks, recollection.evidence, recollection.best_model) == (32, 0, None)


async def test_the_same_task_said_ten_times_is_one_piece_of_evidence(ledger):
    texts = [f"{hello}Write a parser for dates{end}" for hello in ("", "Please ", "HELLO, ") for end in (".", "", "!")]
    neighbours = await remembered(ledger, texts, ("local", True))

    recollection = await recall(ledger, neighbours, QUESTION)

    assert recollection.similar_tasks == 9
    assert recollection.evidence == pytest.approx(1)
    assert recollection.beliefs["local"].evidence == pytest.approx(1)
    assert recollection.best_model_confidence < GATE


async def test_of_a_task_done_again_the_newest_verdict_counts(ledger, clock):
    first = await remembered(ledger, ["Write a parser for dates"], ("local", False), prefix="a")
    clock.advance(hours=1)
    second = await remembered(ledger, ["write a parser for dates!"], ("local", True), prefix="b")

    recollection = await recall(ledger, [*first, *second], dataclasses.replace(QUESTION, now=clock()))

    assert recollection.beliefs["local"].failures == 0
    assert recollection.beliefs["local"].successes == pytest.approx(1)


async def test_after_a_tier_keeps_failing_and_another_passes_the_other_is_best(ledger):
    texts = [f"Write a parser for {thing}" for thing in THINGS[:6]]
    neighbours = await remembered(ledger, texts, ("local", False), ("economy", True))

    recollection = await recall(ledger, neighbours, QUESTION)

    assert recollection.best_model == "economy"
    assert recollection.best_model_confidence > GATE
    assert recollection.beliefs["local"].failures == pytest.approx(6)


async def test_a_model_that_mended_itself_has_succeeded(ledger):
    neighbours = await remembered(ledger, ["Write a parser"], ("local", False), ("local", True))

    recollection = await recall(ledger, neighbours, QUESTION)

    assert recollection.beliefs["local"].failures == 0


async def test_the_users_bad_word_overrides_a_check_that_passed(ledger):
    neighbours = await remembered(ledger, ["Write a parser"], ("local", True), words=("accepted", "rejected"))

    recollection = await recall(ledger, neighbours, QUESTION)

    assert recollection.best_model is None
    assert recollection.beliefs["local"].failures == pytest.approx(0.8)


async def test_a_good_word_does_not_undo_a_check_that_failed(ledger):
    neighbours = await remembered(ledger, ["Write a parser"], ("local", False), words=("accepted",))

    recollection = await recall(ledger, neighbours, QUESTION)

    assert recollection.beliefs["local"].failures == pytest.approx(1)


async def test_a_word_alone_counts_with_its_strength_and_its_models_newest_build(ledger, clock):
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
def test_one_task_gives_one_verdict_on_a_model(rows, expected):
    found = verdict_of("local", rows)

    assert (found.success, found.strength) == expected
    assert found.build == next((build for *_, build in rows if build), None)


def test_what_is_less_similar_counts_less_and_a_rewording_nearly_as_much():
    weights = [similarity_weight(similarity, 0.5) for similarity in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.2)]

    assert weights == sorted(weights, reverse=True)
    assert weights[0] == 1
    assert weights[2] > 0.9
    assert weights[-2:] == [0, 0]


def test_evidence_fades_by_half_in_ninety_days_and_not_at_all_when_the_clock_was_set_back():
    assert summed(verdict(days_ago=90)).evidence == pytest.approx(0.5)
    assert summed(verdict(days_ago=-90)).evidence == pytest.approx(1)


def test_other_weights_under_the_same_name_count_a_quarter():
    question = dataclasses.replace(QUESTION, builds={"local": "new"})

    assert summed(verdict(build="old"), question=question).evidence == pytest.approx(0.25)
    assert summed(verdict(build="new"), question=question).evidence == pytest.approx(1)
    assert summed(verdict(build=None), question=question).evidence == pytest.approx(1)


def test_of_those_that_are_sure_enough_the_cheapest_is_best():
    both = [verdict("dear"), verdict("cheap")] * 6
    question = dataclasses.replace(QUESTION, preference=("cheap", "dear"))

    assert summed(*both, question=question).best_model == "cheap"
    assert summed(*both, verdict("dear"), verdict("dear"), question=question).best_model == "cheap"


def test_where_none_is_sure_enough_the_surest_is_best():
    few = [verdict("cheap"), verdict("dear"), verdict("dear")]
    question = dataclasses.replace(QUESTION, preference=("cheap", "dear"))

    assert summed(*few, question=question).best_model == "dear"


def test_of_those_that_are_about_as_sure_the_cheapest_is_best():
    alike = [verdict("cheap", days_ago=0.1), verdict("dear")]
    question = dataclasses.replace(QUESTION, preference=("cheap", "dear"))

    assert summed(*alike, question=question).best_model == "cheap"


def test_a_model_that_cannot_be_asked_is_never_best():
    question = dataclasses.replace(QUESTION, preference=("cheap",))

    assert summed(*[verdict("gone")] * 6, verdict("cheap"), question=question).best_model == "cheap"


def test_a_model_that_only_failed_is_never_best():
    recollection = summed(verdict("local", success=0.0))

    assert recollection.best_model is None
    assert recollection.best_model_confidence == 0


async def test_tasks_below_the_threshold_or_without_a_vector_do_not_count(ledger):
    near = await remembered(ledger, ["Write a parser"], ("local", True), similarity=0.49)
    await delegate(ledger, "bare", ("local", True))

    recollection = await recall(ledger, [*near, Neighbour("bare", 1.0), Neighbour("gone", 1.0)], QUESTION)

    assert (recollection.similar_tasks, recollection.evidence, recollection.best_model) == (0, 0, None)


async def test_a_fractional_success_counts_on_both_sides(ledger):
    neighbours = await remembered(ledger, ["Write a parser"])
    await ledger.rows("INSERT INTO imported_outcomes VALUES ('t0', 'opus', 0.25, NULL, ?)", (NOW.timestamp(),))

    belief = (await recall(ledger, neighbours, QUESTION)).beliefs["opus"]

    assert (belief.successes, belief.failures) == pytest.approx((0.25, 0.75))


async def test_pruned_tasks_in_use_shift_a_belief_by_less_than_one_task_and_open_no_gate(ledger):
    texts = [f"Write a parser for {thing}" for thing in THINGS[:3]]
    neighbours = await remembered(ledger, texts, ("local", True))
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


async def test_hashed_tasks_are_one_by_their_vectors_alone(ledger):
    neighbours = await remembered(ledger, ["Write a parser for dates"] * 2, ("local", True))
    await ledger.rows("UPDATE tasks SET text = 'hash of ' || id, text_form = 'hash'")

    recollection = await recall(ledger, neighbours, QUESTION)

    assert (recollection.similar_tasks, recollection.evidence) == (2, 1)


@pytest.mark.parametrize(
    ("similarities", "plenty"), [([0.7] * 64, True), ([0.7] * 63, False), ([0.9] * 63 + [0.6], False)]
)
def test_so_many_close_tasks_are_enough_to_look_at(similarities, plenty):
    assert are_plenty([Neighbour("t", similarity) for similarity in similarities], 0.5) == plenty


def test_hashed_texts_are_merged_by_their_vectors_alone():
    vectors = embed(["Write a parser for dates", "Write a parser for dates", "Write a parser for prices"])

    assert group_duplicates(["a", "b", "c"], vectors, {}) == (("a", "b"), ("c",))


def test_a_page_of_text_with_one_line_changed_is_the_same_task():
    page = " ".join(f"requirement{letter} {thing}" for letter in "abcdefghij" for thing in THINGS)
    texts = {"a": page, "b": page + " Hurry.", "c": "Something else entirely"}

    assert group_duplicates(list(texts), embed(list(texts.values())), texts) == (("a", "b"), ("c",))
