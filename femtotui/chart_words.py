"""What a chart says above its curves: a legend, or what stands under the cursor; and how it is looked at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .chart_picture import Ink, LegendItem, Picture
from .loss_series import newest_finite
from .wording import duration

if TYPE_CHECKING:
    from .chart_model import ChartModel, Reading


def legend(picture: Picture, goal: tuple[float, float, str] | None) -> tuple[LegendItem, ...]:
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


def reading_legend(reading: Reading, picture: Picture) -> tuple[LegendItem, ...]:
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
