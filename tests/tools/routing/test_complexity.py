"""Complexity scores: of labelled tasks, and their general properties."""

import random
import re
import time

import pytest
from labelled_tasks import ALL, MECHANICAL, MODULE, SMALL, SYSTEM, UNTYPED, LabelledTask

from chargehand.profiles.vocabulary import TASK_TYPES
from chargehand.tools.routing.complexity import ContextFileFacts, score_complexity
from chargehand.tools.routing.task_type import infer_task_type

FRAME = '  File "/srv/app/module_{n}.py", line {n}, in handle_{n}\n    return next_step(request, {n})'
STACK_TRACE = "\n".join(
    (
        "Traceback (most recent call last):",
        *(FRAME.format(n=n) for n in range(80)),
        "ValueError: distributed consensus deadlock in shard 7",
    )
)
STEP = "def step_{n}(queue, lock):\n    return lock.acquire(queue[{n}])\n"
CODE = f"```python\n{''.join(STEP.format(n=n) for n in range(120))}```"


def test_there_are_at_least_60_labelled_tasks_and_some_of_every_type():
    assert len(ALL) >= 60
    assert {label.task_type for label in ALL} == set(TASK_TYPES)


@pytest.mark.parametrize("label", ALL, ids=lambda label: label.task[:50] or "empty")
def test_labelled_tasks_score_within_their_range(label: LabelledTask):
    score = score_complexity(label.task, label.task_type).score

    assert label.least <= score <= label.most


@pytest.mark.parametrize("label", [*MECHANICAL, *SMALL, *MODULE, *SYSTEM], ids=lambda label: label.task[:50])
def test_labelled_tasks_score_within_their_range_when_the_type_is_inferred(label: LabelledTask):
    score = score_complexity(label.task, infer_task_type(label.task)).score

    assert label.least <= score <= label.most


@pytest.mark.parametrize(
    ("least", "most", "task"), [(*bounds, task) for bounds, tasks in UNTYPED.items() for task in tasks]
)
def test_tasks_without_a_type_label_score_within_their_range(least: float, most: float, task: str):
    assert least <= score_complexity(task, infer_task_type(task)).score <= most


def test_the_contributions_of_the_factors_sum_to_the_score():
    for label in ALL:
        complexity = score_complexity(label.task, label.task_type)

        total = sum(factor.contribution for factor in complexity.factors)
        assert complexity.factors[0].name == "base"
        assert complexity.score == pytest.approx(min(10.0, max(1.0, total)), abs=0.0501), label
        assert complexity.score == round(complexity.score, 1)
        assert len({factor.name for factor in complexity.factors}) == len(complexity.factors)


def test_scores_are_deterministic():
    first = [score_complexity(label.task, label.task_type) for label in ALL]

    assert [score_complexity(label.task, label.task_type) for label in ALL] == first


@pytest.mark.parametrize("task_type", TASK_TYPES)
@pytest.mark.parametrize("task", ["", " \n ", "\0", "?" * 300, "\ufeff", "é" * 100, "🙂" * 50, "\ud800"])
def test_tasks_without_meaningful_text_still_get_a_score(task: str, task_type):
    assert 1.0 <= score_complexity(task, task_type).score <= 6.0


def test_polite_phrases_hardly_change_the_score():
    for label in (*SMALL, *MODULE, *SYSTEM):
        polite = f"Hi there! I hope you are well. Could you please help me with this? {label.task} Thank you so much!"

        assert abs(_score_change(label, polite)) <= 0.5, label


def test_the_order_of_sentences_hardly_changes_the_score():
    for label in MODULE:
        sentences = re.split(r"(?<=[.;:]) ", label.task)
        random.Random(7).shuffle(sentences)

        assert abs(_score_change(label, " ".join(sentences))) <= 0.3, label


@pytest.mark.parametrize("pasted", [STACK_TRACE, CODE], ids=["stack trace", "code"])
def test_pasted_code_and_stack_traces_raise_the_score_only_a_little(pasted: str):
    for label in (*MECHANICAL, *SMALL, *MODULE):
        assert 0 <= _score_change(label, f"{label.task}\n\n{pasted}\n") <= 1.2, label


def _score_change(label: LabelledTask, rewritten: str) -> float:
    return score_complexity(rewritten, label.task_type).score - score_complexity(label.task, label.task_type).score


def test_a_rename_stays_simple_however_many_context_files_it_has():
    files = [ContextFileFacts(f"src/service_{n}.py", 40_000) for n in range(30)]

    assert score_complexity("Rename `fetch` to `load` in all files", "refactoring", files).score <= 2


def test_more_and_larger_context_files_make_a_task_harder():
    task = "Fix the wrong total in the invoice module"
    without_files = score_complexity(task, "code_repair").score
    with_one_file = score_complexity(task, "code_repair", [ContextFileFacts("a.py", 2_000)]).score
    with_many_files = score_complexity(
        task, "code_repair", [ContextFileFacts(f"{n}.py", 30_000) for n in range(12)]
    ).score

    assert without_files < with_one_file < with_many_files


@pytest.mark.parametrize(
    ("task", "task_type"),
    [
        ("The parser fails on trailing whitespace; fix the tokenizer module", "code_repair"),
        ("The rename command crashes when the target exists. Fix it.", "code_repair"),
        ("Sorting alphabetically ignores umlauts; find out why in the contacts module", "debugging"),
        ("Build a spell checker that finds typos with edit distance", "code_generation"),
        ("Rename the module, then redesign the whole billing system as microservices", "architecture"),
    ],
)
def test_a_mechanical_word_does_not_make_a_real_task_score_as_mechanical(task: str, task_type):
    assert score_complexity(task, task_type).score > 2.5


def test_a_demanding_requirement_raises_the_score():
    plain = score_complexity("Write a cache class", "code_generation").score

    for demand in (
        "It must be safe under concurrency.",
        "It must encrypt what it stores.",
        "It must run in constant time for millions of keys; optimize memory usage.",
    ):
        assert score_complexity(f"Write a cache class. {demand}", "code_generation").score >= plain + 0.5


def test_scoring_20_kb_takes_less_than_25_times_as_long_as_splitting_it_into_words():
    """Scoring takes about 3.5 ms on two shared cores of 2026, splitting into words 0.6 ms."""
    prose = "\n".join(label.task for label in ALL if len(label.task) < 400)
    text = (prose * 4)[:20_000]

    def words() -> object:
        return [word.lower() for word in re.findall(r"\w+", text)]

    assert _best_seconds(lambda: score_complexity(text, "other")) < 25 * _best_seconds(words)


@pytest.mark.parametrize(
    "text",
    [
        "a_" * 10_000,
        " " * 20_000 + "x",
        "class A" + "b" * 20_000,
        "if " + "a " * 10_000,
        "`a" * 10_000,
        "10^" * 6_000,
        "- \n" * 7_000,
        "设计一个分布式微服务" * 2_000,
        "[.'" * 6_600,
        "s/a" * 6_600,
        "fix it, add tests and docs\n" * 740,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_adversarial_texts_take_less_than_6_times_as_long_as_prose(text: str):
    prose = ("\n".join(label.task for label in ALL if len(label.task) < 400) * 4)[:20_000]

    ordinary = _best_seconds(lambda: score_complexity(prose, "other"))

    assert _best_seconds(lambda: score_complexity(text, "other")) < 6 * ordinary
    assert _best_seconds(lambda: infer_task_type(text)) < 6 * ordinary


def _best_seconds(work, rounds: int = 9) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best
