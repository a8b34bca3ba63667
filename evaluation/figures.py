"""Measurements aggregated by model: pass rates with intervals by kind and complexity, speed and cost."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from ..memory_store.evaluations import Measurement
from .profiling.statistics import Count, wilson

BANDS: tuple[tuple[str, float], ...] = (("up to 3", 3.0), ("3 to 6", 6.0), ("above 6", 10.0))
"""Bands of complexity, each with its highest complexity (inclusive)."""


@dataclass(frozen=True)
class Rate:
    """How many answers passed, of the conclusive ones."""

    passed: int
    asked: int

    @property
    def share(self) -> float | None:
        """0 to 1. None: no conclusive answer."""
        return self.passed / self.asked if self.asked else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the share (https://doi.org/10.1080/01621459.1927.10502953)."""
        return wilson(Count(self.passed, self.asked))


@dataclass(frozen=True)
class ModelFigures:
    """The aggregated results of one model."""

    model: str
    all: Rate
    kinds: dict[str, Rate]
    bands: dict[str, Rate]
    """By band of complexity, the lowest first; those without an item are left out."""
    tokens_per_second: float | None
    """Median, of output after the first chunk. None here and below: not known from any answer."""
    first_token_seconds: float | None
    """Median, including any cold load."""
    thinking_share: float | None
    """Of all output tokens, 0 to 1."""
    cost_usd: float
    usd_per_solved: float | None
    """Total cost divided by the number of passed answers."""
    failures: dict[str, int]
    """Number of failed answers by outcome, most frequent first."""
    unlearnt: dict[str, int]
    """Number of inconclusive answers by outcome, most frequent first."""


def figures_of(measurements: Iterable[Measurement]) -> tuple[ModelFigures, ...]:
    """The figures of each model, highest pass rate first."""
    by_model: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        by_model.setdefault(measurement.model, []).append(measurement)
    found = [_of_model(model, rows) for model, rows in by_model.items()]
    return tuple(sorted(found, key=lambda f: (-(f.all.share or 0.0), f.cost_usd, f.model)))


def band_of(complexity: float) -> str:
    """The name of the band in BANDS that contains a complexity, 1 to 10."""
    return next(name for name, at_most in BANDS if complexity <= at_most)


def _of_model(model: str, rows: Sequence[Measurement]) -> ModelFigures:
    answered = [row for row in rows if row.passed is not None]
    passed = sum(row.passed is True for row in rows)
    output, thinking = sum(row.output_tokens for row in rows), sum(row.thinking_tokens for row in rows)
    cost_usd = sum(row.cost_usd for row in rows)
    order = [name for name, _ in BANDS]
    bands = _rates(rows, lambda row: band_of(row.complexity))
    return ModelFigures(
        model=model,
        all=_rate(rows),
        kinds=dict(sorted(_rates(rows, lambda row: row.kind).items())),
        bands=dict(sorted(bands.items(), key=lambda found: order.index(found[0]))),
        tokens_per_second=_median([speed for row in answered if (speed := row.tokens_per_second) is not None]),
        first_token_seconds=_median([s for row in answered if (s := row.first_token_seconds) is not None]),
        thinking_share=thinking / output if output else None,
        cost_usd=cost_usd,
        usd_per_solved=cost_usd / passed if passed else None,
        failures=dict(Counter(row.outcome for row in rows if row.passed is False).most_common()),
        unlearnt=dict(Counter(row.outcome for row in rows if row.passed is None).most_common()),
    )


def _rates(rows: Iterable[Measurement], group: Callable[[Measurement], str]) -> dict[str, Rate]:
    groups: dict[str, list[Measurement]] = {}
    for row in rows:
        groups.setdefault(group(row), []).append(row)
    return {name: _rate(members) for name, members in groups.items()}


def _rate(rows: Iterable[Measurement]) -> Rate:
    learnt = [row.passed for row in rows if row.passed is not None]
    return Rate(sum(learnt), len(learnt))


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
