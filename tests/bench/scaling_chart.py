"""The scaling measurements as one SVG: a small log-log chart a dimension, drawn by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from svg_marks import FAINT, INK, line, text

PANEL_WIDTH, PANEL_HEIGHT = 300, 230
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 52, 22, 34, 30
COLUMNS = 3
HEADER = 46
MEASURED, EXPECTED = "#0b6e99", "#b9b9b9"


@dataclass(frozen=True)
class Point:
    """One model size: the value of the dimension, milliseconds a step, and its arithmetic in GFLOP."""

    value: int
    ms: float
    gflop: float


@dataclass(frozen=True)
class Series:
    """What was measured along one dimension, the others held at those of the base."""

    name: str
    points: tuple[Point, ...]


def exponents(values: Sequence[float], costs: Sequence[float]) -> list[float]:
    """How cost grows between neighbours: the p of cost ~ value^p."""
    return [
        math.log(costs[i + 1] / costs[i]) / math.log(values[i + 1] / values[i])
        for i in range(len(values) - 1)
    ]


def chart(all_series: Sequence[Series], title: str) -> str:
    """The whole picture. Solid: measured. Dashed: the arithmetic alone, at the best rate of the series."""
    rows = -(-len(all_series) // COLUMNS)
    width, height = COLUMNS * PANEL_WIDTH, HEADER + rows * PANEL_HEIGHT
    panels = [
        f'<g transform="translate({i % COLUMNS * PANEL_WIDTH} {HEADER + i // COLUMNS * PANEL_HEIGHT})">'
        f"{_panel(series)}</g>"
        for i, series in enumerate(all_series)
    ]
    legend = "solid: measured, with the exponent between neighbours; dashed: its arithmetic at the best rate"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="system-ui, sans-serif" fill="{INK}">',
            f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>',
            text(14, 20, title, size=13),
            text(14, 36, legend, fill="#777777"),
            *panels,
            "</svg>\n",
        ]
    )


def _panel(series: Series) -> str:
    values = [point.value for point in series.points]
    times = [point.ms for point in series.points]
    best = min(point.ms / point.gflop for point in series.points)
    arithmetic = [point.gflop * best for point in series.points]
    low, high = _decades(min(times + arithmetic), max(times + arithmetic))
    xs = [_place(v, values[0], values[-1], MARGIN_LEFT, PANEL_WIDTH - MARGIN_RIGHT) for v in values]

    def y(ms: float) -> float:
        return _place(ms, low, high, PANEL_HEIGHT - MARGIN_BOTTOM, MARGIN_TOP)

    parts = [text(MARGIN_LEFT, 22, f"ms a step against {series.name}", size=12)]
    for tick in _ticks(low, high):
        parts.append(line([(MARGIN_LEFT, y(tick)), (PANEL_WIDTH - MARGIN_RIGHT, y(tick))], FAINT))
        parts.append(text(MARGIN_LEFT - 6, y(tick) + 4, f"{tick:g}", anchor="end"))
    parts += [text(x, PANEL_HEIGHT - 10, str(v), anchor="middle") for x, v in zip(xs, values, strict=True)]
    parts.append(line([(x, y(ms)) for x, ms in zip(xs, arithmetic, strict=True)], EXPECTED, dashed=True))
    parts.append(line([(x, y(ms)) for x, ms in zip(xs, times, strict=True)], MEASURED, width=2))
    parts += [
        f'<circle cx="{x:.1f}" cy="{y(ms):.1f}" r="2.6" fill="{MEASURED}"/>'
        for x, ms in zip(xs, times, strict=True)
    ]
    for i, exponent in enumerate(exponents(values, times)):
        x, middle = (xs[i] + xs[i + 1]) / 2, math.sqrt(times[i] * times[i + 1])
        parts.append(text(x, y(middle) - 8, f"{exponent:.2f}", anchor="end", fill=MEASURED, size=10))
    return "".join(parts)


def _place(value: float, low: float, high: float, start: float, stop: float) -> float:
    """Where a value lies on a logarithmic axis."""
    return start + (stop - start) * (math.log(value / low) / math.log(high / low))


def _decades(low: float, high: float) -> tuple[float, float]:
    return 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high * 1.001))


def _ticks(low: float, high: float) -> list[float]:
    return [10**k for k in range(round(math.log10(low)), round(math.log10(high)) + 1)]
