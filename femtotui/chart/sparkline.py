"""A row of small bars: how a number went lately, in a few cells."""

from __future__ import annotations

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """The newest `width` values as bars from 0 to the highest; what is not finite is a gap."""
    newest = list(values)[-width:]
    highest = max((value for value in newest if math.isfinite(value)), default=0.0)
    return "".join(_bar(value, highest) for value in newest)


def _bar(value: float, highest: float) -> str:
    if not math.isfinite(value) or value < 0:
        return " "
    return BARS[min(int(value / highest * len(BARS)), len(BARS) - 1)] if highest > 0 else BARS[0]


def progress_bar(share: float, width: int) -> str:
    """How much of something is done."""
    share = min(max(share, 0.0), 1.0)
    done = round(share * width)
    return "━" * done + "╌" * (width - done)
