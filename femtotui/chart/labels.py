"""The text on a chart: the names of lines at its right edge, and the legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..text.formats import duration
from .braille import dot_row
from .frame_data import CursorReading, Curve, FrameData, Ink, Layout, LegendItem, plot_window, plotted_one
from .glyphs import CellGrid
from .quantities import LOSS, Quantity
from .series import newest_finite


@dataclass(frozen=True)
class _Name:
    """A line's name and row; the names of the highest rank are left out first."""

    text: str
    value: float
    row: int
    ink: Ink
    rank: int


def draw_names(grid: CellGrid, layout: Layout, frame: FrameData) -> None:
    """Name the lines at the right edge: each at its height or, where two meet, in the next row."""
    names = _names(layout, frame)
    for row, name in _spread(names, layout.height):
        column = layout.right + 1 if layout.gutter else layout.right - len(name.text)
        cells = (layout.top + row, slice(max(column, 0), column + len(name.text)))
        if layout.gutter or (grid.inks_HW[cells] < Ink.RAW).all():
            grid.put(layout.top + row, column, name.text, name.ink)


def gutter_names(frame: FrameData) -> list[str]:
    """Everything that may be written beside the plot."""
    newest = [frame.newest.label] if frame.newest else []
    return [*(level.label for level in frame.levels), *newest, *(other.name for other in frame.overlays)]


def _names(layout: Layout, frame: FrameData) -> list[_Name]:
    """The names of the lines in the window, each in the row of its value, and of the nearest ones outside."""
    lines = [(f"┄ {level.label}", level.value, Ink.BASELINE, 2) for level in frame.levels]
    lines += [(f"◂ {frame.newest.label}", frame.newest.value, Ink.SMOOTHED, 0)] if frame.newest else []
    lines += [(f"━ {other.name}", _last_visible(other, frame), other.ink, 1) for other in frame.overlays]
    names, window = [], plot_window(frame)
    for text, value, ink, rank in lines:
        row = dot_row(plotted_one(value, frame.log_y), window, layout.height, frame.glyphs)
        if row is not None:
            names.append(_Name(text, value, row // frame.glyphs.dots_y, ink, rank))
    return names + _beyond(layout, frame)


def _last_visible(curve: Curve, frame: FrameData) -> float:
    """The last value of a curve up to the right edge of the window; NaN if it has none."""
    end = int(np.searchsorted(curve.x_K, frame.window.x_high, "right"))
    return newest_finite(curve.y_K[:end])


def _beyond(layout: Layout, frame: FrameData) -> list[_Name]:
    """The nearest line above the window and the nearest below, each with an arrow that points to it."""
    if not layout.gutter:
        return []
    low, high = frame.window.y_low, frame.window.y_high
    above = min((lv for lv in frame.levels if lv.value > high), key=lambda lv: lv.value, default=None)
    below = max((lv for lv in frame.levels if lv.value < low), key=lambda lv: lv.value, default=None)
    ends = (("↑", above, 0), ("↓", below, layout.height - 1))
    return [_Name(f"{arrow} {at.label}", at.value, row, Ink.BASELINE, 3) for arrow, at, row in ends if at]


def _spread(names: Sequence[_Name], height: int) -> list[tuple[int, _Name]]:
    """A row for each name, in order of height; without room for all, the highest ranks are left out."""
    kept = sorted(names, key=lambda name: name.rank)[:height]
    kept.sort(key=lambda name: -name.value)
    rows: list[int] = []
    for name in kept:
        rows.append(max(name.row, rows[-1] + 1 if rows else 0))
    limit = height - 1
    for index in reversed(range(len(rows))):
        rows[index] = min(rows[index], limit)
        limit = rows[index] - 1
    return list(zip(rows, kept, strict=True))


def legend(frame: FrameData) -> list[LegendItem]:
    """The curves with their values at the cursor or, without one, their newest values."""
    if frame.reading is not None:
        return _reading_legend(frame.reading, frame)
    smoothed, raw = newest_finite(frame.smoothed_K), newest_finite(frame.raw_K)
    # None where other runs are shown alone.
    items = _run_items(frame.quantity, smoothed, raw, raw_rank=4) if len(frame.raw_K) else []
    bad = int(np.count_nonzero(~np.isfinite(frame.raw_K)))
    if bad:
        items.insert(0, LegendItem("!", f"{bad} not a number", Ink.WARNING))
    validation = newest_finite(frame.validation_y_K)
    if math.isfinite(validation):
        items.append(LegendItem("•", f"validation {validation:.4f}", Ink.VALIDATION, rank=3))
    if frame.goal is not None:
        items.append(LegendItem("◆", frame.goal[2], Ink.GOAL, rank=2))
    return items + [LegendItem("━", other.name, other.ink, rank=5) for other in frame.overlays]


def _reading_legend(reading: CursorReading, frame: FrameData) -> list[LegendItem]:
    when = f" · {duration(reading.elapsed_s)}" if math.isfinite(reading.elapsed_s) else ""
    items = [
        LegendItem("┊", f"step {reading.step:,.0f}{when}", Ink.CURSOR),
        *_run_items(frame.quantity, reading.smoothed, reading.raw, raw_rank=2),
    ]
    if math.isfinite(reading.validation):
        items.append(LegendItem("•", _value("validation", reading.validation), Ink.VALIDATION, rank=3))
    for curve, (_, value) in zip(frame.overlays, reading.others, strict=True):
        items.append(LegendItem("━", _value(curve.name, value), curve.ink, rank=4))
    return items


def _run_items(quantity: Quantity, smoothed: float, raw: float, raw_rank: int) -> list[LegendItem]:
    if quantity.is_exact:
        return [LegendItem("━━", _value(quantity.name, raw, quantity), Ink.SMOOTHED, rank=1)]
    return [
        LegendItem("━━", _value("smoothed", smoothed, quantity), Ink.SMOOTHED, rank=1),
        LegendItem("━━", _value(quantity.name, raw, quantity), Ink.RAW, rank=raw_rank),
    ]


def _value(name: str, value: float, quantity: Quantity = LOSS) -> str:
    return f"{name} {quantity.words(value) if math.isfinite(value) else '–'}"
