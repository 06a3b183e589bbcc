"""Curves as dots: cells of 2 x 4 (braille) or fewer, filled with NumPy, never a point at a time.

A curve is first reduced to at most one vertical run of dots per dot column (its least and greatest value
there, so that no spike is lost), then the runs are drawn; the cost after one pass over the points depends
only on the size of the chart.

Shapes, as suffixes: K points, C dot columns (2 per braille cell), H and W rows and columns of cells.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .glyphs import BRAILLE, Glyphs

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

NO_LAYER = -1
EMPTY = 0


@dataclass(frozen=True)
class Window:
    """The part of the plane that a chart shows: `y_high` is the middle of the top row of dots."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float


@dataclass(frozen=True)
class _Columns:
    """A curve reduced to dot columns, y in dot rows counted from the top.

    `first`, `last`, `least`, `greatest` are NaN where the column is empty; `joined` says whether the curve
    continues unbroken to the next column.
    """

    first_C: Floats
    last_C: Floats
    least_C: Floats
    greatest_C: Floats
    joined_C: Bools


def _slice(x_K: Floats, y_K: Floats, window: Window) -> tuple[Floats, Floats]:
    """The points in the window, and one more on each side for the line that enters or leaves it."""
    low = max(int(np.searchsorted(x_K, window.x_low, "left")) - 1, 0)
    high = int(np.searchsorted(x_K, window.x_high, "right")) + 1
    return x_K[low:high], y_K[low:high]


def _finite(x_K: Floats, y_K: Floats) -> tuple[Floats, Floats, Bools]:
    """The finite points, and for each whether a gap or the end follows it."""
    finite_K = np.isfinite(y_K)
    gaps_K = np.cumsum(~finite_K)[finite_K]
    return x_K[finite_K], y_K[finite_K], np.append(np.diff(gaps_K) > 0, True)


def _reduce(x_K: Floats, y_K: Floats, broken_K: Bools, window: Window, n_columns: int) -> _Columns:
    """Reduce finite points, sorted by x, to dot columns; columns between two points are interpolated."""
    span = max(window.x_high - window.x_low, sys.float_info.min)
    # Column c holds the points nearest to its middle, which lies at x_low + c * span / (n_columns - 1).
    step = span / max(n_columns - 1, 1)
    edges = window.x_low + (np.arange(n_columns + 1, dtype=np.float64) - 0.5) * step
    bounds = np.searchsorted(x_K, edges)
    starts, stops = bounds[:-1], bounds[1:]
    filled_C = stops > starts

    at_C = window.x_low + np.arange(n_columns, dtype=np.float64) * step
    middle_C = _interpolate(x_K, y_K, broken_K, at_C)
    first_C, last_C = middle_C.copy(), middle_C.copy()
    least_C, greatest_C = middle_C.copy(), middle_C.copy()
    if filled_C.any():
        begin, end = starts[filled_C], stops[filled_C]
        inner = y_K[begin[0] : end[-1]]
        first_C[filled_C], last_C[filled_C] = y_K[begin], y_K[end - 1]
        least_C[filled_C] = np.minimum.reduceat(inner, begin - begin[0])
        greatest_C[filled_C] = np.maximum.reduceat(inner, begin - begin[0])
    joined_C = ~broken_K[np.clip(stops - 1, 0, x_K.size - 1)]
    return _Columns(first_C, last_C, least_C, greatest_C, joined_C)


def _interpolate(x_K: Floats, y_K: Floats, broken_K: Bools, at_C: Floats) -> Floats:
    """The curve's height at each x; NaN where it has none: beyond its ends and in its gaps."""
    before_C = np.clip(np.searchsorted(x_K, at_C, "right") - 1, 0, x_K.size - 1)
    inside_C = (at_C >= x_K[0]) & (at_C <= x_K[-1]) & (~broken_K[before_C] | (x_K[before_C] == at_C))
    return np.where(inside_C, np.interp(at_C, x_K, y_K), np.nan)


def _runs(columns: _Columns, window: Window, n_rows: int) -> tuple[Ints, Ints]:
    """The first and last dot row of each column's run, joined into a line; first > last where empty."""
    scale = (n_rows - 1) / max(window.y_high - window.y_low, sys.float_info.min)
    far = 4.0 * n_rows

    def rows(values_C: Floats) -> Ints:
        # Clipped far outside the chart, so that integers cannot overflow.
        with np.errstate(over="ignore"):
            rows_C = np.clip((window.y_high - values_C) * scale, -far, far)
        return np.rint(np.nan_to_num(rows_C, nan=far)).astype(np.intp)

    empty_C = np.isnan(columns.first_C)
    first_C, last_C = rows(columns.first_C), rows(columns.last_C)
    top_C, bottom_C = rows(columns.greatest_C), rows(columns.least_C)
    meets_C = columns.joined_C[:-1] & ~empty_C[:-1] & ~empty_C[1:]
    drop_C = np.where(meets_C, first_C[1:] - last_C[:-1], 0)
    # A steep line is shared by the two columns that it joins: each runs to the middle of the drop.
    middle_C = last_C[:-1] + np.sign(drop_C) * (np.abs(drop_C) // 2)
    next_C = np.where(drop_C == 0, first_C[1:], middle_C + np.sign(drop_C))
    middle_C = np.where(drop_C == 0, last_C[:-1], middle_C)
    top_C[:-1] = np.minimum(top_C[:-1], middle_C)
    bottom_C[:-1] = np.maximum(bottom_C[:-1], middle_C)
    top_C[1:] = np.minimum(top_C[1:], next_C)
    bottom_C[1:] = np.maximum(bottom_C[1:], next_C)
    bottom_C[empty_C] = -1
    top_C[empty_C] = n_rows
    return top_C, bottom_C


def _pack(dots: Bools, glyphs: Glyphs) -> NDArray[np.uint8]:
    """Dots (H * dots_y, W * dots_x) as the bits of cells (H, W)."""
    down, across = glyphs.weights_YX.shape
    height, width = dots.shape[0] // down, dots.shape[1] // across
    dots_HWK = dots.reshape(height, down, width, across).swapaxes(1, 2).reshape(height, width, down * across)
    return dots_HWK.view(np.uint8) @ glyphs.weights_YX.reshape(-1)


def curve_bits(
    x_K: Floats, y_K: Floats, window: Window, height: int, width: int, glyphs: Glyphs = BRAILLE
) -> NDArray[np.uint8]:
    """One curve as the bits of cells (H, W); for braille, the low byte of each cell's code point.

    `x_K` must not decrease; a y that is not finite leaves a gap.
    """
    n_rows, n_columns = glyphs.dots_y * height, glyphs.dots_x * width
    x_K, y_K = _slice(x_K, y_K, window)
    x_K, y_K, broken_K = _finite(x_K, y_K)
    if not x_K.size:
        return np.zeros((height, width), dtype=np.uint8)
    columns = _reduce(x_K, y_K, broken_K, window, n_columns)
    top_C, bottom_C = _runs(columns, window, n_rows)
    rows = np.arange(n_rows)[:, None]
    return _pack((rows >= top_C) & (rows <= bottom_C), glyphs)


def level_bits(
    y: float, window: Window, height: int, width: int, glyphs: Glyphs = BRAILLE
) -> NDArray[np.uint8]:
    """A faint horizontal line at `y`: one dot per cell; nothing if `y` is outside the window."""
    bits_HW = np.zeros((height, width), dtype=np.uint8)
    row = dot_row(y, window, height, glyphs)
    if row is not None:
        # Where a cell is one dot wide, every other cell keeps the line faint.
        bits_HW[row // glyphs.dots_y, :: 1 if glyphs.dots_x > 1 else 2] = glyphs.weights_YX[
            row % glyphs.dots_y, 0
        ]
    return bits_HW


def dot_row(y: float, window: Window, height: int, glyphs: Glyphs = BRAILLE) -> int | None:
    """The dot row of `y`, counted from the top; None if that is outside the window."""
    n_rows = glyphs.dots_y * height
    span = window.y_high - window.y_low
    if not np.isfinite(y) or span <= 0:
        return None
    row = (window.y_high - y) / span * (n_rows - 1)
    return int(np.rint(row)) if -0.5 <= row <= n_rows - 0.5 else None


def stack(
    layers: Sequence[NDArray[np.uint8]], glyphs: Glyphs = BRAILLE
) -> tuple[NDArray[np.uint32], NDArray[np.int8]]:
    """Bits (H, W) laid over each other: the code points, and the index of the layer that each cell shows.

    A cell has one colour: where several layers have dots, the last one has the cell to itself.
    """
    bits_HW = np.full(layers[0].shape, EMPTY, dtype=np.uint8)
    owners_HW = np.full(layers[0].shape, NO_LAYER, dtype=np.int8)
    for index, layer_HW in enumerate(layers):
        drawn_HW = layer_HW != EMPTY
        bits_HW[drawn_HW] = layer_HW[drawn_HW]
        owners_HW[drawn_HW] = index
    return glyphs.codes[bits_HW], owners_HW
