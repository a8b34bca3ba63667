"""The report of an evaluation as one self-contained HTML page, without scripts, fonts or external resources."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

from .figures import ModelFigures, Rate
from .report import MODEL_COLUMNS, Report, counts, in_percent, model_cells

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1917; --dim: #78716c; --line: #d6d3d1; --paper: #fff; --mark: #c2410c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7e5e4; --dim: #a8a29e; --line: #44403c; --paper: #1c1917; --mark: #fb923c; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
caption { text-align: left; color: var(--dim); }
a:focus-visible, [tabindex]:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } svg .dim { fill: var(--dim); }
svg .rule { stroke: var(--line); } svg .bar { stroke: var(--mark); stroke-width: 2; } svg circle { fill: var(--mark); }
"""

_WIDTH, _LABEL, _ROW = 760, 230, 26


def page_of(report: Report) -> str:
    """The page as HTML text."""
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in _SECTIONS)
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Evaluation {escape(report.evaluation.id[:8])}</title>",
            f"<style>{_STYLE}</style></head><body>",
            "<h1>How good is each model really?</h1>",
            f"<p>{escape(report.headline)} Intervals are Wilson's, at 95%.</p>",
            f"<nav><ul>{links}</ul></nav>",
            *(f"<p>{escape(remark)}</p>" for remark in report.remarks),
            '<h2 id="models">Models</h2>',
            _chart("Pass rate of each model", [(f.model, f.all) for f in report.models]),
            _models(report.models),
            '<h2 id="kinds">By kind of task</h2>',
            *(_chart(kind, _rates(report, kind, lambda f: f.kinds)) for kind in report.kinds),
            _table("kind", report, report.kinds, lambda f: f.kinds),
            '<h2 id="bands">By complexity</h2>',
            *(_chart(f"complexity {band}", _rates(report, band, lambda f: f.bands)) for band in report.bands),
            _table("complexity", report, report.bands, lambda f: f.bands),
            "</body></html>\n",
        )
    )


_SECTIONS = (("models", "Models"), ("kinds", "By kind of task"), ("bands", "By complexity"))


def _rates(report: Report, name: str, of: Callable[[ModelFigures], Mapping[str, Rate]]) -> Sequence[tuple[str, Rate]]:
    return [(figures.model, of(figures)[name]) for figures in report.models if name in of(figures)]


def _chart(title: str, rates: Sequence[tuple[str, Rate]]) -> str:
    """An SVG with a dot per share on its interval, from 0 to 100%."""
    height, across = 44 + _ROW * len(rates), _WIDTH - _LABEL - 20
    said = "; ".join(f"{name} {rate.passed} of {rate.asked}" for name, rate in rates)

    def x(share: float) -> float:
        return round(_LABEL + across * share, 1)

    marks: list[str] = []
    for tenth in range(0, 11, 2):
        at = x(tenth / 10)
        marks.append(f'<line class="rule" x1="{at}" x2="{at}" y1="24" y2="{height - 16}"/>')
        marks.append(f'<text class="dim" x="{at}" y="{height - 2}" text-anchor="middle">{tenth}0%</text>')
    for row, (name, rate) in enumerate(rates):
        y = 38 + row * _ROW
        marks.append(f'<text x="0" y="{y + 4}">{escape(name)}</text>')
        if rate.share is not None:
            low, high = rate.interval
            marks.append(f'<line class="bar" x1="{x(low)}" x2="{x(high)}" y1="{y}" y2="{y}"/>')
            marks.append(f'<circle cx="{x(rate.share)}" cy="{y}" r="5"/>')
    return "\n".join(
        (
            f'<svg role="img" aria-label="{escape(f"{title}: {said}", quote=True)}" viewBox="0 0 {_WIDTH} {height}"'
            f' width="100%" xmlns="http://www.w3.org/2000/svg">',
            f'<text x="0" y="14">{escape(title)}</text>',
            *marks,
            "</svg>",
        )
    ).replace(">00%<", ">0%<")


def _models(models: Sequence[ModelFigures]) -> str:
    head = (*MODEL_COLUMNS, "failures", "unlearnt")
    rows = [(*model_cells(f), counts(f.failures), counts(f.unlearnt)) for f in models]
    return _rows("Speeds are medians; thinking is its share of all output tokens.", head, rows)


def _table(first: str, report: Report, names: Sequence[str], of: Callable[[ModelFigures], Mapping[str, Rate]]) -> str:
    def cell(rate: Rate | None) -> str:
        return "-" if rate is None else f"{rate.passed}/{rate.asked} ({in_percent(rate)})"

    rows = [(name, *(cell(of(f).get(name)) for f in report.models)) for name in names]
    return _rows("Passed of asked, and the interval.", (first, *(f.model for f in report.models)), rows)


def _rows(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<table tabindex="0"><caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead>'
        f"<tbody>\n{body}</tbody></table>"
    )
