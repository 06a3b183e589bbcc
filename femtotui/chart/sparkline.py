"""Sparklines: the recent values of a number as a row of small bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from femtotui.core.events import ScoreDone

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """The newest `width` values as bars from 0 to the highest; a value that is not finite is a gap."""
    newest = list(values)[-width:]
    highest = max((value for value in newest if math.isfinite(value)), default=0.0)
    return "".join(_bar(value, highest) for value in newest)


def _bar(value: float, highest: float) -> str:
    if not math.isfinite(value) or value < 0:
        return " "
    return BARS[min(int(value / highest * len(BARS)), len(BARS) - 1)] if highest > 0 else BARS[0]


def progress_bar(share: float, width: int) -> str:
    """A bar of `width` cells, filled to `share` (0 to 1)."""
    share = min(max(share, 0.0), 1.0)
    done = round(share * width)
    return "━" * done + "╌" * (width - done)


def score_bars(scores: Sequence[ScoreDone], width: int) -> str:
    """The scores from the first to the last in at most `width` cells.

    Shares are scaled from 0 to 1, other scores from the lowest to the highest.
    """
    if not scores or width < 1:
        return ""
    values = [score.score for score in _spread(scores, width)]
    low, high = (0.0, 1.0) if scores[-1].unit == "share" else (min(values), max(values))
    span = high - low or 1.0
    highest = len(BARS) - 1
    return "".join(BARS[min(highest, max(0, int((value - low) / span * len(BARS))))] for value in values)


def score_curve(scores: Sequence[ScoreDone], width: int) -> str:
    """The bars, followed by the last score with its unit, in `width` cells."""
    if not scores:
        return ""
    last = scores[-1]
    words = f" {last.score:.1%}" if last.unit == "share" else f" {last.score:.3f} {last.unit}"
    return score_bars(scores, max(1, width - len(words))) + words


def _spread(scores: Sequence[ScoreDone], most: int) -> list[ScoreDone]:
    """At most `most` scores, evenly chosen, always with the last one."""
    surplus = len(scores) - most
    if surplus <= 0:
        return list(scores)
    return [scores[(index + 1) * len(scores) // most - 1] for index in range(most)]
