"""Every entry as a row of dots: the loss at the journal's step, and the time, the journal's beside ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from svg_marks import FAINT, INK, line, text

WIDTH, LEFT, GAP, RIGHT = 920, 34, 70, 24
TOP, ROW, BOTTOM = 78, 24, 34
JOURNAL, AGAIN, MODERN, QUIET = "#b9b9b9", "#c26a1b", "#0b6e99", "#777777"

Recipes = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Axis:
    """A horizontal axis from `left` to `right` for values from `low` to `high`."""

    left: float
    right: float
    low: float
    high: float
    logarithmic: bool = False

    def x(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(max(value, self.low))
        return self.left + (self.right - self.left) * (at - low) / (high - low)


def chart(results: Mapping[str, Recipes]) -> str:
    """The whole picture: losses at the left, times at the right, a row an entry."""
    height = TOP + ROW * len(results) + BOTTOM
    middle = (WIDTH - LEFT - RIGHT - GAP) / 2
    losses = _loss_axis(results, LEFT, LEFT + middle)
    times = _time_axis(results, LEFT + middle + GAP, WIDTH - RIGHT)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="system-ui, sans-serif" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>',
        text(14, 20, "The journal's entries, trained again", size=13),
        *_legend(),
        text(losses.left, TOP - 18, "loss at the journal's step, nats a token"),
        text(times.left, TOP - 18, "seconds: the journal's, and ours to success"),
        *_grid(losses, _nice_ticks(losses), height),
        *_grid(times, _decades(times), height),
    ]
    for number, (entry, recipes) in enumerate(results.items()):
        y = TOP + ROW * number + ROW / 2
        parts.append(text(LEFT - 14, y + 4, entry, anchor="end"))
        parts += _losses_of(recipes, losses, y) + _times_of(recipes, times, y)
    return "\n".join([*parts, "</svg>\n"])


def _legend() -> list[str]:
    items = (
        (JOURNAL, "noted by the journal (or by the peer: validation)"),
        (AGAIN, "its recipe, here"),
        (MODERN, "the modern recipe (hollow: no success)"),
    )
    parts, x = [], 20.0
    for colour, words in items:
        parts += [_dot(x, 36, colour), text(x + 8, 40, words, fill=QUIET)]
        x += 24 + 6.2 * len(words)
    return [*parts, text(x, 40, "|  time allowed", fill=QUIET)]


def _grid(axis: Axis, ticks: Sequence[float], height: float) -> list[str]:
    parts = []
    for tick in ticks:
        x = axis.x(tick)
        parts.append(line([(x, TOP), (x, height - BOTTOM)], FAINT))
        parts.append(text(x, height - BOTTOM + 16, f"{tick:g}", anchor="middle"))
    return parts


def _losses_of(recipes: Recipes, axis: Axis, y: float) -> list[str]:
    """The noted loss as a ring, and for each recipe its median on a line from the least to the most."""
    parts = [_dot(axis.x(_noted_loss(recipes)), y, JOURNAL, radius=5.5)]
    for recipe, colour in (("journal", AGAIN), ("modern", MODERN)):
        values = _compared_losses(recipes.get(recipe, ()))
        if values:
            parts.append(line([(axis.x(min(values)), y), (axis.x(max(values)), y)], colour, width=2))
            parts.append(_dot(axis.x(median(values)), y, colour))
    return parts


def _times_of(recipes: Recipes, axis: Axis, y: float) -> list[str]:
    any_outcome = _first(recipes)
    noted = any_outcome["journal_seconds"] or any_outcome["peer_seconds"]
    allowed = axis.x(any_outcome["seconds_allowed"])
    parts = [_dot(axis.x(noted), y, JOURNAL, radius=5.5)] if noted else []
    parts.append(line([(allowed, y - 8), (allowed, y + 8)], INK))
    ours = recipes.get("modern", ())
    times = [outcome["seconds_to_success"] for outcome in ours if outcome["verdict"] == "success"]
    if len(times) == len(ours) and times:
        parts.append(line([(axis.x(min(times)), y), (axis.x(max(times)), y)], MODERN, width=2))
        parts.append(_dot(axis.x(median(times)), y, MODERN))
    elif ours:
        parts.append(_dot(axis.x(median(outcome["seconds"] for outcome in ours)), y, MODERN, hollow=True))
    return parts


def _compared_losses(outcomes: Sequence[Mapping[str, Any]]) -> list[float]:
    """At the journal's step; what has none is compared by its validation loss, as its peer is."""
    at_step = [o["loss_at_journal_step"] for o in outcomes if o["loss_at_journal_step"] is not None]
    return at_step or [o["val_loss"] for o in outcomes]


def _noted_loss(recipes: Recipes) -> float:
    outcome = _first(recipes)
    return float(outcome["journal_loss"] if outcome["journal_loss"] is not None else outcome["peer_loss"])


def _first(recipes: Recipes) -> Mapping[str, Any]:
    return next(iter(recipes.values()))[0]


def _loss_axis(results: Mapping[str, Recipes], left: float, right: float) -> Axis:
    values = [_noted_loss(recipes) for recipes in results.values()]
    for recipes in results.values():
        for outcomes in recipes.values():
            values += _compared_losses(outcomes)
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) + 0.01
    return Axis(left, right, low - margin, high + margin)


def _time_axis(results: Mapping[str, Recipes], left: float, right: float) -> Axis:
    outcomes = [o for recipes in results.values() for several in recipes.values() for o in several]
    fields = ("journal_seconds", "peer_seconds", "seconds_to_success", "seconds_allowed", "seconds")
    values = [o[field] for o in outcomes for field in fields if o[field]]
    return Axis(left, right, 0.8 * min(values), 1.2 * max(values), logarithmic=True)


def _nice_ticks(axis: Axis) -> list[float]:
    span = axis.high - axis.low
    step = next(size for size in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, math.inf) if span / size <= 8)
    first = math.ceil(axis.low / step)
    return [round(k * step, 2) for k in range(first, math.floor(axis.high / step) + 1)]


def _decades(axis: Axis) -> list[float]:
    powers = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
    return [10.0**k * m for k in powers for m in (1, 3) if axis.low <= 10.0**k * m <= axis.high]


def _dot(x: float, y: float, colour: str, *, radius: float = 4.0, hollow: bool = False) -> str:
    paint = f'fill="#ffffff" stroke="{colour}" stroke-width="1.8"' if hollow else f'fill="{colour}"'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" {paint}/>'
