"""The names at the right edge of a chart: each beside its line or, where two meet, in the next row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .braille import dot_row
from .cell_grid import CellGrid
from .chart_picture import Curve, Ink, Layout, Picture, plot_window, plotted_one
from .loss_series import newest_finite


@dataclass(frozen=True)
class _Name:
    """A line's name: the row of its line, and how soon it may be left out (the highest rank first)."""

    text: str
    value: float
    row: int
    ink: Ink
    rank: int


def draw_names(grid: CellGrid, layout: Layout, picture: Picture) -> None:
    """Name the lines at the right edge: each at its height or, where two meet, in the next row."""
    names = _names(layout, picture)
    for row, name in _spread(names, layout.height):
        column = layout.right + 1 if layout.gutter else layout.right - len(name.text)
        cells = (layout.top + row, slice(max(column, 0), column + len(name.text)))
        if layout.gutter or (grid.inks_HW[cells] < Ink.RAW).all():
            grid.put(layout.top + row, column, name.text, name.ink)


def gutter_names(picture: Picture) -> list[str]:
    """All that may have to be written beside the plot."""
    newest = [picture.newest.label] if picture.newest else []
    return [*(level.label for level in picture.levels), *newest, *(other.name for other in picture.overlays)]


def _names(layout: Layout, picture: Picture) -> list[_Name]:
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


def _name(text: str, value: float, ink: Ink, rank: int, layout: Layout, picture: Picture) -> _Name | None:
    """A name at the height of its value; None if that is out of sight."""
    y = plotted_one(value, picture.log_y)
    row = dot_row(y, plot_window(picture), layout.height, picture.glyphs)
    return _Name(text, value, row // picture.glyphs.dots_y, ink, rank) if row is not None else None


def _last_in_sight(curve: Curve, picture: Picture) -> float:
    """The last value of a curve up to the right edge of the window; NaN if it has none."""
    end = int(np.searchsorted(curve.x_K, picture.window.x_high, "right"))
    return newest_finite(curve.y_K[:end])


def _beyond(layout: Layout, picture: Picture) -> list[_Name]:
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
