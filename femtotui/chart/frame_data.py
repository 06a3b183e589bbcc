"""The contents and the layout of a frame of the loss chart: plain data between model and drawing."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .braille import Window
from .glyphs import BRAILLE, Glyphs
from .quantities import LOSS, Quantity

Floats = NDArray[np.float64]
XAxis = Literal["steps", "time"]
MAX_OVERLAYS = 6


class Ink(IntEnum):
    """The part of a chart that a cell belongs to; the widget has a style for each."""

    TEXT = 0
    AXIS = 1
    BASELINE = 2
    RAW = 3
    SMOOTHED = 4
    VALIDATION = 5
    GOAL = 6
    WARNING = 7
    CURSOR = 8
    OTHER_1 = 9
    OTHER_2 = 10
    OTHER_3 = 11
    OTHER_4 = 12
    OTHER_5 = 13
    OTHER_6 = 14


@dataclass(frozen=True)
class Level:
    """A named horizontal line. `label` is written at the right edge, one cell per character."""

    label: str
    value: float


@dataclass(frozen=True)
class Curve:
    """Another run's smoothed loss, and its name."""

    x_K: Floats
    y_K: Floats
    name: str
    ink: Ink


@dataclass(frozen=True)
class LegendItem:
    """A mark and its meaning; without room for all items, the highest ranks are dropped first."""

    mark: str
    text: str
    ink: Ink
    rank: int = 0

    @property
    def width(self) -> int:
        return len(self.mark) + 1 + len(self.text)


@dataclass(frozen=True)
class CursorReading:
    """The values of the curves at the cursor, in the unit shown; NaN where a curve has none."""

    step: float
    elapsed_s: float
    raw: float
    smoothed: float
    validation: float
    others: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class FrameData:
    """Everything to draw. x is in steps or seconds according to `x_axis`, and never decreases; y is loss, or
    another `quantity`.

    `goal` is where an earlier run ended, and the words about it. `cursor` is the x that is being read; the
    legend then shows `reading`, the values there. `settings` are the view settings in words, the longest
    form first; the last one is always shown, before any legend item.
    """

    x_K: Floats
    raw_K: Floats
    smoothed_K: Floats
    validation_x_K: Floats
    validation_y_K: Floats
    window: Window
    x_axis: XAxis
    log_y: bool
    levels: tuple[Level, ...]
    newest: Level | None
    goal: tuple[float, float, str] | None
    settings: tuple[str, ...]
    overlays: tuple[Curve, ...] = ()
    cursor: float | None = None
    reading: CursorReading | None = None
    glyphs: Glyphs = field(default=BRAILLE)
    quantity: Quantity = LOSS


@dataclass(frozen=True)
class Layout:
    """The position of the plot in the grid; `gutter` is the width for names to its right (0: none)."""

    top: int
    left: int
    height: int
    width: int
    gutter: int
    has_legend: bool
    has_x_axis: bool

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height


def plotted(y: Floats, log_y: bool) -> Floats:
    """Loss on the drawn axis: itself, or its logarithm, NaN where that is undefined."""
    if not log_y:
        return y
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(y > 0, np.log10(y), np.nan)


def plotted_one(y: float, log_y: bool) -> float:
    return float(plotted(np.array([y]), log_y)[0])


def plot_window(frame: FrameData) -> Window:
    """The window on the drawn axes: with the logarithms of the losses on a logarithmic axis."""
    window = frame.window
    low, high = (plotted_one(y, frame.log_y) for y in (window.y_low, window.y_high))
    return Window(window.x_low, window.x_high, low, high)
