"""The names at the right edge of a chart: each beside its line or, where two meet, in the next row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..text.formats import duration
from .braille import dot_row
from .frame_data import Curve, FrameData, Ink, Layout, LegendItem, plot_window, plotted_one
from .glyphs import CellGrid
from .series import newest_finite

if TYPE_CHECKING:
    from .chart_model import ChartModel, CursorReading


@dataclass(frozen=True)
class _Name:
    """A line's name: the row of its line, and how soon it may be left out (the highest rank first)."""

    text: str
    value: float
    row: int
    ink: Ink
    rank: int


def draw_names(grid: CellGrid, layout: Layout, picture: FrameData) -> None:
    """Name the lines at the right edge: each at its height or, where two meet, in the next row."""
    names = _names(layout, picture)
    for row, name in _spread(names, layout.height):
        column = layout.right + 1 if layout.gutter else layout.right - len(name.text)
        cells = (layout.top + row, slice(max(column, 0), column + len(name.text)))
        if layout.gutter or (grid.inks_HW[cells] < Ink.RAW).all():
            grid.put(layout.top + row, column, name.text, name.ink)


def gutter_names(picture: FrameData) -> list[str]:
    """All that may have to be written beside the plot."""
    newest = [picture.newest.label] if picture.newest else []
    return [*(level.label for level in picture.levels), *newest, *(other.name for other in picture.overlays)]


def _names(layout: Layout, picture: FrameData) -> list[_Name]:
    names = [
        _name(f"┄ {level.label}", level.value, Ink.BASELINE, 2, layout, picture) for level in picture.levels
    ]
    if picture.newest is not None:
        newest = picture.newest
        names.append(_name(f"◂ {newest.label}", newest.value, Ink.SMOOTHED, 0, layout, picture))
    for other in picture.overlays:
        end = _last_in_sight(other, picture)
        names.append(_name(f"━ {other.name}", end, other.ink, 1, layout, picture))
    return [name for name in names if name is not None] + _beyond(layout, picture)


def _name(text: str, value: float, ink: Ink, rank: int, layout: Layout, picture: FrameData) -> _Name | None:
    """A name at the height of its value; None if that is out of sight."""
    y = plotted_one(value, picture.log_y)
    row = dot_row(y, plot_window(picture), layout.height, picture.glyphs)
    return _Name(text, value, row // picture.glyphs.dots_y, ink, rank) if row is not None else None


def _last_in_sight(curve: Curve, picture: FrameData) -> float:
    """The last value of a curve up to the right edge of the window; NaN if it has none."""
    end = int(np.searchsorted(curve.x_K, picture.window.x_high, "right"))
    return newest_finite(curve.y_K[:end])


def _beyond(layout: Layout, picture: FrameData) -> list[_Name]:
    """The nearest line above the window and the nearest below, each with an arrow that points to it."""
    if not layout.gutter:
        return []
    low, high = picture.window.y_low, picture.window.y_high
    above = min((lv for lv in picture.levels if lv.value > high), key=lambda lv: lv.value, default=None)
    below = max((lv for lv in picture.levels if lv.value < low), key=lambda lv: lv.value, default=None)
    names = [_Name(f"↑ {above.label}", above.value, 0, Ink.BASELINE, 3)] if above else []
    return names + (
        [_Name(f"↓ {below.label}", below.value, layout.height - 1, Ink.BASELINE, 3)] if below else []
    )


def _spread(names: Sequence[_Name], height: int) -> list[tuple[int, _Name]]:
    """A row of its own for every name, in order of height; the lowest ranks go where there are too many."""
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


def legend(picture: FrameData, goal: tuple[float, float, str] | None) -> tuple[LegendItem, ...]:
    """The curves and their newest values."""
    smoothed, raw = newest_finite(picture.smoothed_K), newest_finite(picture.raw_K)
    items = [
        LegendItem("━━", f"smoothed {smoothed:.4f}", Ink.SMOOTHED, rank=1),
        LegendItem("━━", f"loss {raw:.4f}", Ink.RAW, rank=4),
    ]
    if not len(picture.raw_K):  # other runs alone
        items.clear()
    bad = int(np.count_nonzero(~np.isfinite(picture.raw_K)))
    if bad:
        items.insert(0, LegendItem("!", f"{bad} not a number", Ink.WARNING))
    validation = newest_finite(picture.validation_y_K)
    if math.isfinite(validation):
        items.append(LegendItem("•", f"validation {validation:.4f}", Ink.VALIDATION, rank=3))
    if goal is not None and picture.goal is not None:
        words = f"{goal[2]} {picture.goal[1]:.4f} at {goal[0]:,.0f}"
        items.append(LegendItem("◆", words, Ink.GOAL, rank=2))
    others = (LegendItem("━", other.name, other.ink, rank=5) for other in picture.overlays)
    return (*items, *others)


def reading_legend(reading: CursorReading, picture: FrameData) -> tuple[LegendItem, ...]:
    """What the curves say at the cursor."""
    when = f" · {duration(reading.elapsed_s)}" if math.isfinite(reading.elapsed_s) else ""
    items = [
        LegendItem("┊", f"step {reading.step:,.0f}{when}", Ink.CURSOR),
        LegendItem("━━", _value("smoothed", reading.smoothed), Ink.SMOOTHED, rank=1),
        LegendItem("━━", _value("loss", reading.raw), Ink.RAW, rank=2),
    ]
    if math.isfinite(reading.validation):
        items.append(LegendItem("•", _value("validation", reading.validation), Ink.VALIDATION, rank=3))
    for curve, (_, value) in zip(picture.overlays, reading.others, strict=True):
        items.append(LegendItem("━", _value(curve.name, value), curve.ink, rank=4))
    return tuple(items)


def _value(name: str, value: float) -> str:
    return f"{name} {value:.4f}" if math.isfinite(value) else f"{name} –"


def modes(model: ChartModel) -> tuple[str, ...]:
    """How the curves are looked at, in words: at length, and what must be said where room is short.

    Someone who has turned the axis logarithmic must see it; that nothing has been turned need not be said.
    """
    must = [
        "" if model.view.is_whole else "zoomed",
        "log y" if model.log_y else "",
        "bits a byte" if model.unit == "bits" else "",
        "time" if model.by_time else "",
    ]
    all_words = [*must, "" if model.by_time else "steps", f"smoothing {model.smoothing:g}"]
    return _joined(all_words), _joined(must)


def _joined(words: list[str]) -> str:
    return " · ".join(word for word in words if word)
