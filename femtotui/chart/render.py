"""The loss chart as a grid of characters: a pure function of a frame and a size.

From top to bottom: a legend, the plot with its y axis, the x axis. To the right of the plot, where it fits,
the lines that cross it are named. What does not fit is left out, the least important first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .braille import NO_LAYER, Window, curve_bits, dot_row, level_bits, stack
from .frame_data import Floats, FrameData, Ink, Layout, plot_window, plotted, plotted_one
from .glyphs import CellGrid, Glyphs
from .labels import draw_names, gutter_names, legend
from .ticks import Tick, linear_ticks, log_ticks, time_ticks


def compose(frame: FrameData, height: int, width: int) -> CellGrid:
    """Draw `frame` into a grid of `height` rows and `width` columns, of any size."""
    grid = CellGrid.blank(height, width)
    if not height or not width:
        return grid
    y_ticks = _y_ticks(frame, height)
    layout = lay_out(frame, height, width)
    _draw_curves(grid, layout, frame)
    _draw_y_axis(grid, layout, frame, y_ticks)
    _draw_x_axis(grid, layout, frame)
    draw_names(grid, layout, frame)
    _draw_goal(grid, layout, frame)
    if layout.has_legend:
        _draw_legend(grid, frame)
    return frame.glyphs.simplified(grid)


def lay_out(frame: FrameData, height: int, width: int) -> Layout:
    y_ticks = _y_ticks(frame, height)
    has_legend, has_x_axis = height >= 5, height >= 4
    left = max((len(tick.label) for tick in y_ticks), default=0) + 2 if width >= 24 else 0
    gutter = max(map(len, gutter_names(frame)), default=0) + 3 if width >= 56 else 0
    return Layout(
        top=int(has_legend),
        left=left,
        height=height - has_legend - has_x_axis,
        width=max(width - left - gutter, 1),
        gutter=gutter,
        has_legend=has_legend,
        has_x_axis=has_x_axis,
    )


def _draw_curves(grid: CellGrid, layout: Layout, frame: FrameData) -> None:
    window, size, glyphs = plot_window(frame), (layout.height, layout.width), frame.glyphs
    levels = np.zeros(size, dtype=np.uint8)
    for level in frame.levels:
        levels |= level_bits(plotted_one(level.value, frame.log_y), window, *size, glyphs)
    curves = (
        (frame.x_K, frame.raw_K, Ink.RAW),
        *((other.x_K, other.y_K, other.ink) for other in frame.overlays),
        (frame.validation_x_K, frame.validation_y_K, Ink.VALIDATION),
        (frame.x_K, frame.smoothed_K, Ink.SMOOTHED),
    )
    layers = [curve_bits(x, plotted(y, frame.log_y), window, *size, glyphs) for x, y, _ in curves]
    inks = np.array([Ink.BASELINE, *(ink for _, _, ink in curves), Ink.TEXT], dtype=np.uint8)
    codes_HW, owners_HW = stack([levels, *layers], glyphs)
    plot = (slice(layout.top, layout.bottom), slice(layout.left, layout.right))
    drawn_HW = owners_HW != NO_LAYER
    _draw_cursor(grid, layout, frame)
    grid.codes_HW[plot][drawn_HW] = codes_HW[drawn_HW]
    grid.inks_HW[plot][drawn_HW] = inks[owners_HW[drawn_HW]]
    _draw_points(grid, layout, frame, window)


def _draw_cursor(grid: CellGrid, layout: Layout, frame: FrameData) -> None:
    """A line from top to bottom, behind the curves."""
    if frame.cursor is None:
        return
    span = frame.window.x_high - frame.window.x_low
    across = (frame.cursor - frame.window.x_low) / span if span > 0 else -1.0
    if 0 <= across <= 1:
        column = layout.left + round(across * (layout.width - 1))
        for row in range(layout.top, layout.bottom):
            grid.put(row, column, "┊", Ink.CURSOR)


def _draw_points(grid: CellGrid, layout: Layout, frame: FrameData, window: Window) -> None:
    """Mark the validation measurements, unless they lie so close that only their line is legible."""
    y_K = plotted(frame.validation_y_K, frame.log_y)
    rows, columns = _cells_of(frame.validation_x_K, y_K, layout, window, frame.glyphs)
    if rows.size > 1 and (columns[-1] - columns[0]) / (columns.size - 1) < 3:
        return
    grid.codes_HW[rows, columns] = ord("•")
    grid.inks_HW[rows, columns] = Ink.VALIDATION


def _cells_of(
    x_K: Floats, y_K: Floats, layout: Layout, window: Window, glyphs: Glyphs
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The cells (rows, columns of the grid) of those points that lie in the window."""
    spans = window.x_high - window.x_low, window.y_high - window.y_low
    if min(spans) <= 0 or not all(map(math.isfinite, spans)):
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    across = (x_K - window.x_low) / spans[0]
    down = (window.y_high - y_K) / spans[1]
    inside = (across >= 0) & (across <= 1) & (down >= 0) & (down <= 1)
    columns = np.rint(across[inside] * (glyphs.dots_x * layout.width - 1)).astype(np.intp) // glyphs.dots_x
    rows = np.rint(down[inside] * (glyphs.dots_y * layout.height - 1)).astype(np.intp) // glyphs.dots_y
    return rows + layout.top, columns + layout.left


def _y_ticks(frame: FrameData, height: int) -> tuple[Tick, ...]:
    window = frame.window
    most = max(3, min(8, (height - 1) // 2))
    make = log_ticks if frame.log_y else linear_ticks
    return make(window.y_low, window.y_high, most)


def _draw_y_axis(grid: CellGrid, layout: Layout, frame: FrameData, ticks: Sequence[Tick]) -> None:
    if not layout.left:
        return
    window = plot_window(frame)
    for row in range(layout.top, layout.bottom):
        grid.put(row, layout.left - 1, "│", Ink.AXIS)
    for tick in ticks:
        dots = dot_row(plotted_one(tick.value, frame.log_y), window, layout.height, frame.glyphs)
        if dots is not None:
            row = layout.top + dots // frame.glyphs.dots_y
            grid.put(row, layout.left - 1, "┤", Ink.AXIS)
            grid.put(row, layout.left - 2 - len(tick.label), tick.label, Ink.TEXT)


def _draw_x_axis(grid: CellGrid, layout: Layout, frame: FrameData) -> None:
    """The x axis: its numbers stand in the line itself, each centred on its tick."""
    if not layout.has_x_axis:
        return
    row, window = layout.bottom, frame.window
    grid.put(row, max(layout.left - 1, 0), ("╰" if layout.left else "") + "─" * layout.width, Ink.AXIS)
    most = max(2, min(10, layout.width // 12))
    if frame.x_axis == "time":
        ticks = time_ticks(window.x_low, window.x_high, most)
    else:
        ticks = linear_ticks(window.x_low, window.x_high, most, whole=True)
    free = layout.left
    for tick in ticks:
        text = f" {tick.label.strip()} "
        across = (tick.value - window.x_low) / (window.x_high - window.x_low)
        column = layout.left + round(across * (layout.width - 1)) - len(text) // 2
        column = min(max(column, layout.left), max(layout.right - len(text), layout.left))
        if column >= free:
            grid.put(row, column, text, Ink.TEXT)
            free = column + len(text)


def _draw_goal(grid: CellGrid, layout: Layout, frame: FrameData) -> None:
    """The goal as a diamond; outside the window, an arrow at the edge nearest to it."""
    if frame.goal is None:
        return
    window = plot_window(frame)
    x, y = frame.goal[0], plotted_one(frame.goal[1], frame.log_y)
    if not (math.isfinite(x) and math.isfinite(y)):
        return
    inside_x = min(max(x, window.x_low), window.x_high)
    inside_y = min(max(y, window.y_low), window.y_high)
    rows, columns = _cells_of(np.array([inside_x]), np.array([inside_y]), layout, window, frame.glyphs)
    mark = "▲" if y > inside_y else "▼" if y < inside_y else "▶" if x > inside_x else "◆"
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        grid.put(row, column, mark, Ink.GOAL)


def _draw_legend(grid: CellGrid, frame: FrameData) -> None:
    items, must = legend(frame), frame.settings[-1]
    room = grid.width - (len(must) + 2 if must else 0)
    while sum(item.width + 2 for item in items) - 2 > room:
        items.remove(max(items, key=lambda item: item.rank))
    column = 0
    for item in items:
        grid.put(0, column, item.mark, item.ink)
        ink = item.ink if item.ink is Ink.WARNING else Ink.TEXT
        grid.put(0, column + len(item.mark) + 1, item.text, ink)
        column += item.width + 2
    settings = next((words for words in frame.settings if column + len(words) <= grid.width), "")
    grid.put(0, grid.width - len(settings), settings, Ink.AXIS)


def compose_message(text: str, height: int, width: int) -> CellGrid:
    """A line of text in the middle of an empty grid."""
    grid = CellGrid.blank(height, width)
    grid.put(height // 2, max((width - len(text)) // 2, 0), text, Ink.TEXT)
    return grid
