"""The report of an evaluation: as JSON, and as tables on a terminal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console

from ..memory_store.evaluation_runs import EvaluationRow
from ..memory_store.evaluations import Measurement
from ..profiles.price import in_dollars
from .figures import BANDS, ModelFigures, Rate, figures_of
from .progress import EvaluationProgress
from .tables import print_table
from .terms import OWN_SUITE

MODEL_COLUMNS = ("model", "passed", "95%", "tokens/s", "first token", "thinking", "cost", "per solved")

_RESUME = "`chargehand evaluate --resume`"
_SHOWN_USD = 6
"""Decimal places of dollar amounts in JSON."""


@dataclass(frozen=True)
class Report:
    evaluation: EvaluationRow
    models: tuple[ModelFigures, ...]
    """Highest pass rate first."""
    items: int
    progress: EvaluationProgress
    """Empty for an earlier run, of which it is unknown."""
    with_vendors: int
    """Number of answers still with vendors, in batches."""

    @classmethod
    def of(
        cls,
        evaluation: EvaluationRow,
        measurements: Sequence[Measurement],
        progress: EvaluationProgress | None = None,
        *,
        with_vendors: int = 0,
    ) -> "Report":
        """progress: of the run that has just ended. None: it ended in another process."""
        items = len({measurement.item for measurement in measurements})
        return cls(evaluation, figures_of(measurements), items, progress or EvaluationProgress(), with_vendors)

    @property
    def cost_usd(self) -> float:
        return sum(figures.cost_usd for figures in self.models)

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(sorted({kind for figures in self.models for kind in figures.kinds}))

    @property
    def bands(self) -> tuple[str, ...]:
        return tuple(name for name, _ in BANDS if any(name in figures.bands for figures in self.models))

    @property
    def headline(self) -> str:
        e = self.evaluation
        later = f" this week, and {_RESUME} later" if e.suite == OWN_SUITE else ""
        state = "finished" if e.finished_at is not None else f"unfinished: the same command continues it{later}"
        return (
            f"Evaluation {e.id[:8]} ({e.suite}, seed {e.seed}): {_counted(self.items, 'task')},"
            f" {_counted(len(self.models), 'model')}, {in_dollars(self.cost_usd)}; {state}."
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """Caveats to the figures, one text each."""
        run = self.progress
        return (
            *(f"{item} was given to no model: {why}" for item, why in sorted(run.broken.items())),
            *(f"{model} was skipped: {why}" for model, why in sorted(run.given_up.items())),
            *(
                f"{model}: {_answers(count)} not measured: {why}"
                for model, reasons in sorted(run.unmeasured.items())
                for why, count in reasons.items()
                if why != run.given_up.get(model)
            ),
            *(
                f"{model}: {_answers(count)} not requested: the budget does not cover the worst case. Raise"
                " --budget-usd."
                for model, count in sorted(run.unaffordable.items())
            ),
            *(
                f"{model}: {_answers(count)} not requested, as what stays on this machine is not sent."
                for model, count in sorted(run.withheld.items())
            ),
            *(f"{item} stays on this machine: {'; '.join(why)}." for item, why in sorted(run.staying.items())),
            *self._on_batches,
        )

    @property
    def _on_batches(self) -> tuple[str, ...]:
        if not self.with_vendors:
            return ()
        answers = f"{self.with_vendors} answer{'s are' if self.with_vendors > 1 else ' is'} still with a vendor"
        how = _RESUME if self.evaluation.suite == OWN_SUITE else "The same command"
        return (
            f"{answers}, in a batch that continues by itself and is counted at its worst case. {how} fetches the"
            " results.",
        )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _answers(count: int) -> str:
    return "1 answer was" if count == 1 else f"{count} answers were"


def facts_of(report: Report) -> dict[str, Any]:
    """The report as a JSON object (values of any type, hence Any)."""
    evaluation, run = asdict(report.evaluation), report.progress
    for hidden in ("owner", "terms"):
        del evaluation[hidden]
    return {
        **evaluation,
        "items": report.items,
        "cost_usd": round(report.cost_usd, _SHOWN_USD),
        "models": [_model_facts(figures) for figures in report.models],
        "broken": run.broken,
        "given_up": run.given_up,
        "unaffordable": run.unaffordable,
        "unmeasured": run.unmeasured,
        "staying": {item: list(why) for item, why in run.staying.items()},
        "withheld": run.withheld,
        "with_vendors": report.with_vendors,
    }


def _model_facts(figures: ModelFigures) -> dict[str, Any]:
    facts = asdict(figures)
    return {
        **facts,
        "all": _rate_facts(figures.all),
        "kinds": {kind: _rate_facts(rate) for kind, rate in figures.kinds.items()},
        "bands": {band: _rate_facts(rate) for band, rate in figures.bands.items()},
    }


def _rate_facts(rate: Rate) -> dict[str, Any]:
    low, high = rate.interval
    return {
        "passed": rate.passed,
        "asked": rate.asked,
        "share": rate.share,
        "low": round(low, 4),
        "high": round(high, 4),
    }


def show(report: Report, console: Console) -> None:
    """Print the report as tables."""
    console.print(report.headline, markup=False, highlight=False)
    rows = [
        (*model_cells(f), counts({**f.failures, **{f"({why})": n for why, n in f.unlearnt.items()}}))
        for f in report.models
    ]
    if rows:
        columns = (*MODEL_COLUMNS, "failures")
        print_table(console, columns, rows, whole=("model", "cost", "per solved"), title="Models")
    _show_rates("By kind", report, report.kinds, lambda f: f.kinds, console)
    _show_rates("By complexity", report, report.bands, lambda f: f.bands, console)
    for remark in report.remarks:
        console.print(remark, style="yellow", markup=False, highlight=False)


def _show_rates(
    title: str,
    report: Report,
    rows: Sequence[str],
    rates: Callable[[ModelFigures], Mapping[str, Rate]],
    console: Console,
) -> None:
    if not rows:
        return
    columns = ("", *(f.model for f in report.models))
    lines: list[Sequence[str]] = []
    for name in rows:
        found = [rates(f).get(name) for f in report.models]
        lines.append((name, *("-" if r is None else f"{r.passed}/{r.asked} {in_percent(r)}" for r in found)))
    print_table(console, columns, lines, title=f"{title}: passed of asked, 95% interval")


def in_percent(rate: Rate) -> str:
    """The interval as text; a dash when nothing was asked."""
    low, high = rate.interval
    return f"{low:.0%} to {high:.0%}" if rate.asked else "-"


def model_cells(figures: ModelFigures) -> tuple[str, ...]:
    """A model's figures, one text per column of MODEL_COLUMNS; a dash for what is not known."""
    return (
        figures.model,
        f"{figures.all.passed} of {figures.all.asked}",
        in_percent(figures.all),
        _number(figures.tokens_per_second, "{:.0f}"),
        _number(figures.first_token_seconds, "{:.2f} s"),
        _number(figures.thinking_share, "{:.0%}"),
        in_dollars(figures.cost_usd),
        "-" if figures.usd_per_solved is None else in_dollars(figures.usd_per_solved),
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def counts(of: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in of.items()) or "none"
