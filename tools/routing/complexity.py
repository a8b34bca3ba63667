"""Scores a task's complexity, 1 to 10, as a sum of named factors: pure, deterministic, explainable.

It looks at words, not meaning: it distinguishes a rename, a function and a system, but not a subtle bug from
an obvious one. How well models do such tasks is left to memory.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...profiles.vocabulary import TaskType
from ..some_names import some_names
from .correction import correct
from .cues import LEXICON
from .form import form_of
from .reading import Reading, read_task

LEAST, MOST = 1.0, 10.0

_BASE = 2.0

# Points by task type, relative to a few lines of code. Our own judgement.
_BY_TASK_TYPE: dict[TaskType, float] = {
    "formatting": -0.8,
    "documentation": -0.3,
    "translation": 0.4,
    "other": 0.3,
    "code_generation": 0.4,
    "tests": 0.7,
    "refactoring": 1.2,
    "review": 1.3,
    "reasoning": 1.6,
    "code_repair": 1.5,
    "debugging": 1.9,
    "architecture": 3.2,
}

# Maximum points for designing, and for building, a system of several services; those for designing include the
# task type's own.
_SYSTEM_DESIGN = 6.8
_SYSTEM_BUILD = 4.4


@dataclass(frozen=True)
class Factor:
    """One reason why a task is easier or harder."""

    name: str
    value: str
    """What was found, for display: `43 words`, `distribut, kafka`."""
    contribution: float
    """Its share of the score, in points of complexity; negative makes the task easier."""


@dataclass(frozen=True)
class Complexity:
    """A complexity score with its reasons."""

    score: float
    """1.0 to 10.0 with one decimal; the sum of the contributions, clipped to these bounds."""
    factors: tuple[Factor, ...]


@dataclass(frozen=True)
class ContextFileFacts:
    """What is known of a context file before it is read."""

    path: str
    size_bytes: int


_Found = Mapping[str, tuple[str, ...]]


def score_complexity(task: str, task_type: TaskType, context_files: Sequence[ContextFileFacts] = ()) -> Complexity:
    """The complexity of a task of this type with these context files."""
    reading = read_task(task)
    named = name_factors(reading, task_type, context_files)
    factors = (*named.factors, *_correction(task, reading, named))
    return Complexity(score=_score(factors), factors=tuple(f for f in factors if f.contribution))


@dataclass(frozen=True)
class NamedFactors:
    """The factors before the correction by fitted weights."""

    factors: tuple[Factor, ...]
    triviality: float
    """How far the task is a mechanical change, which the fitted weights do not cover, 0 to 1."""


def name_factors(reading: Reading, task_type: TaskType, context_files: Sequence[ContextFileFacts] = ()) -> NamedFactors:
    """The factors without the correction by fitted weights, which `score_complexity` adds."""
    found = LEXICON.found(reading)
    factors = [f for f in _factors(reading, found, task_type, context_files) if f.contribution]
    signs = _signs_of_a_trivial_change(reading, found, task_type)
    if not signs:
        return NamedFactors(tuple(factors), 0.0)
    # In a long text a single word says little about the whole task.
    triviality = min(1.0, max(0.0, (_TRIVIAL_WITHIN_WORDS[1] - reading.length) / _TRIVIAL_SPAN))
    above_base = sum(factor.contribution for factor in factors) - _BASE
    trivial = _factor("trivial_change", _some(signs), -triviality * (0.9 * max(0.0, above_base) + 0.6))
    return NamedFactors((*factors, trivial), triviality)


def _correction(task: str, reading: Reading, named: NamedFactors) -> Iterator[Factor]:
    figures = form_of(task, reading, {factor.name: factor.contribution for factor in named.factors})
    correction = correct(reading, figures)
    share = 1 - named.triviality
    yield _factor("form", _some(correction.form_signs), share * correction.form)
    yield _factor("wording", _some(correction.word_signs), share * correction.words)


def _score(factors: Sequence[Factor]) -> float:
    """The sum, clipped to its bounds and rounded to one decimal.

    Summed in hundredths, to which contributions are rounded, because float sums differ between Python versions.
    """
    hundredths = sum(round(factor.contribution * 100) for factor in factors)
    return min(MOST, max(LEAST, (hundredths + 5) // 10 / 10))


def _factors(
    reading: Reading, found: _Found, task_type: TaskType, context_files: Sequence[ContextFileFacts]
) -> Iterator[Factor]:
    yield Factor("base", "any task", _BASE)
    yield Factor("task_type", task_type, _BY_TASK_TYPE[task_type])
    yield _factor("length", f"{reading.length} words", min(1.8, 0.32 * math.log2(1 + reading.length / 20)))
    yield _factor("names", _some(sorted(reading.names)), min(0.7, 0.15 * math.log2(1 + len(reading.names))))
    yield _scope(found)
    yield _system(reading, found, task_type)
    yield _requirements(reading, found)
    for name, weight, most in _DEMANDS:
        # Repairing or explaining something takes less than making it.
        share = 0.5 if task_type in _NOT_MAKING and name in _OF_MAKING else 1
        yield _factor(name, _some(found[name]), share * min(most, weight * _growth(len(found[name]))))
    yield _quantities(reading, found)
    yield _context(context_files)
    pasted = reading.pasted_lines
    yield _factor("pasted_text", f"{pasted} lines", min(0.9, 0.2 * math.log2(1 + pasted / 4)))


_DEMANDS: tuple[tuple[str, float, float], ...] = (
    ("substantial", 1.3, 2.3),
    ("performance", 0.45, 0.8),
    ("concurrency", 0.7, 1.3),
    ("security", 0.5, 1.0),
    ("integrity", 0.4, 0.9),
    ("algorithms", 0.6, 1.2),
    ("graphs", 0.4, 0.8),
    ("counting", 0.45, 0.9),
)
"""Factor, which is also its table of cues; points for one cue; maximum points."""

_OF_MAKING = frozenset(("substantial", "algorithms", "graphs", "counting"))
_NOT_MAKING = frozenset(("code_repair", "debugging", "review", "documentation", "formatting", "reasoning"))


def _scope(found: _Found) -> Factor:
    wide, some = found["wide_scope"], found["some_scope"]
    points = min(1.2, 0.8 * _growth(len(wide)) + 0.35 * _growth(len(some)))
    return _factor("scope", _some((*wide, *some)), points)


def _system(reading: Reading, found: _Found, task_type: TaskType) -> Factor:
    """Points for systems of several processes, most of all if they are to be designed or built."""
    apart, parts = found["distributed"], found["system"]
    if not apart and reading.words.count("service") > 1:
        apart = ("several services",)
    weight = 3 * len(apart) + len(parts)
    if found["designing"] or _first_verb(reading) in _DESIGN_VERBS or task_type == "architecture":
        whole = _SYSTEM_DESIGN - max(0.0, _BY_TASK_TYPE[task_type])
    elif found["creating"] and task_type not in _NOT_MAKING:
        whole = _SYSTEM_BUILD * (1 if apart else 0.4)
    else:
        whole = 0.4
    return _factor("system", _some((*apart, *parts)), whole * (1 - 0.5**weight))


def _requirements(reading: Reading, found: _Found) -> Factor:
    conditions = found["requirements"]
    points = min(1.4, 0.25 * math.log2(1 + len(conditions)) + 0.15 * math.log2(1 + reading.list_items))
    items = (f"{reading.list_items} list items",) if reading.list_items else ()
    return _factor("requirements", _some((*conditions, *items)), points)


def _quantities(reading: Reading, found: _Found) -> Factor:
    """Points for formal statements: named quantities, and bounds that rule out brute force."""
    symbols = {word for word in reading.distinct_words if len(word) == 1 and word.isascii()} - {"a", "i", "s"}
    exponents = [int(e) for e in _EXPONENT.findall(reading.own_text)]
    points = min(0.9, 0.2 * math.log2(1 + len(symbols))) + (0.4 if max(exponents, default=0) >= _LARGE_EXPONENT else 0)
    points -= 0.35 * _growth(len(found["deciding"])) if symbols or exponents else 0
    shown = [*sorted(symbols), *(f"10^{max(exponents)}" for _ in exponents[:1])]
    return _factor("quantities", _some(shown), points)


def _context(context_files: Sequence[ContextFileFacts]) -> Factor:
    kilobytes = sum(file.size_bytes for file in context_files) / 1000
    points = min(1.8, 0.3 * math.log2(1 + len(context_files)) + 0.15 * math.log2(1 + kilobytes / 4))
    return _factor("context_files", f"{len(context_files)} files, {kilobytes:.0f} kB", points)


def _signs_of_a_trivial_change(reading: Reading, found: _Found, task_type: TaskType) -> tuple[str, ...]:
    """Signs of a mechanical change, which is easy however large its surroundings are."""
    if found["creating"]:
        return ()
    mechanical = found["mechanical"]
    is_bug = task_type in ("code_repair", "debugging")
    if found["designing"] or (is_bug and _first_verb(reading) not in {*mechanical, *_EDIT_VERBS}):
        mechanical = ()
    substitution = ("x for y",) if _SUBSTITUTION.search(reading.own_text) else ()
    return (*found["misspelling"], *mechanical, *substitution)


def _first_verb(reading: Reading) -> str | None:
    """The first word that is not a courtesy: in a request, its verb."""
    return next((word for word in reading.words if word not in _POLITE), None)


_POLITE = frozenset(("please", "can", "could", "would", "will", "you", "kindly", "just", "hi", "hello", "hey", "bitte"))
_DESIGN_VERBS = frozenset(("design", "architect", "redesign"))
_EDIT_VERBS = frozenset(("remove", "delete", "sort", "change", "update", "convert", "replace", "swap", "add", "run"))
_TRIVIAL_WITHIN_WORDS = (60, 160)
_TRIVIAL_SPAN = _TRIVIAL_WITHIN_WORDS[1] - _TRIVIAL_WITHIN_WORDS[0]
_LARGE_EXPONENT = 4
# s/x/y/, or: change "x" to "y"
_SUBSTITUTION = re.compile(
    r"\bs/[^/\s]{1,40}/[^/\s]{0,40}/"
    r"|\b(?:change|replace|update|swap|correct) ([\"'`])[^\"'`\n]{1,60}\1 (?:to|with|by|for|->) [\"'`]",
    re.IGNORECASE,
)
_EXPONENT = re.compile(r"\b10\s?(?:\^|\*\*)\s?\{?(\d{1,2})\b")


def _growth(count: int) -> float:
    """0, 1, 1.5, 1.75 and so on, below 2: diminishing returns."""
    return 2 * (1 - 0.5**count)


def _some(found: Sequence[str]) -> str:
    return some_names(found, most=6)


def _factor(name: str, value: str, contribution: float) -> Factor:
    return Factor(name, value, round(contribution, 2))
