"""Draws labelled points and curves of cost against quality as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT, _MARGIN = 900, 560, 60
_LEGEND_LINE = 18
_COLOURS = ("#64748b", "#ea580c", "#0891b2", "#9a3412", "#155e75", "#4d7c0f")


@dataclass(frozen=True)
class Point:
    name: str
    spend: float
    """Relative to always asking the best model, 0 and up."""
    quality: float
    """Relative to always asking the best model."""


@dataclass(frozen=True)
class Curve:
    name: str
    points: Sequence[Point]
    """In drawing order; their names are not shown."""


def draw(points: Sequence[Point], title: str, curves: Sequence[Curve] = ()) -> str:
    """The SVG text. Points whose name begins with `plan` are highlighted; each curve has its own colour."""
    seen = [*points, *(point for curve in curves for point in curve.points)]
    most = max(1.0, *(point.spend for point in seen)) * 1.15
    low, high = min(point.quality for point in seen) * 0.95, max(point.quality for point in seen) * 1.03

    def place(point: Point) -> tuple[float, float]:
        across = _MARGIN + (_WIDTH - 2 * _MARGIN) * point.spend / most
        up = (_HEIGHT - 2 * _MARGIN) * (point.quality - low) / (high - low)
        return round(across, 1), round(_HEIGHT - _MARGIN - up, 1)

    marks: list[str] = []
    for row, (curve, colour) in enumerate(zip(curves, cycle(_COLOURS), strict=False)):
        along = " ".join(f"{x},{y}" for x, y in map(place, curve.points))
        marks.append(f'<polyline points="{along}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        x, y = _WIDTH - 4 * _MARGIN, _HEIGHT - _MARGIN - _LEGEND_LINE * (len(curves) - row)
        marks.append(f'<path d="M{x - 30} {y - 4}h24" stroke="{colour}" stroke-width="1.5"/>')
        marks.append(f'<text x="{x}" y="{y}" font-size="11">{escape(curve.name)}</text>')
    for point in points:
        x, y = place(point)
        is_plan = point.name.startswith("plan")
        marks.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{"#c2410c" if is_plan else "#475569"}"/>')
        marks.append(f'<text x="{x + 6}" y="{y + 4}" font-size="10">{escape(point.name)}</text>')
    floor, left = _HEIGHT - _MARGIN, _MARGIN
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
            f'<text x="{left}" y="30" font-size="16">{escape(title)}</text>',
            f'<path d="M{left} {_MARGIN}V{floor}H{_WIDTH - _MARGIN}" stroke="black" fill="none"/>',
            f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 20}" font-size="12">spend, of always the best = 1</text>',
            f'<text x="12" y="{_MARGIN - 12}" font-size="12">quality, of the best = 1</text>',
            *marks,
            "</svg>\n",
        )
    )
