"""Round numbers for axes, with short labels of equal width.

Source: the steps 1, 2, 2.5, 5 times a power of ten, as in Heckbert, "Nice numbers for graph labels",
Graphics Gems (1990); for time, the divisions that clocks have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
_NICE_WHOLE = (1.0, 2.0, 5.0, 10.0)
_LOG_MANTISSAS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0))
_CLOCK_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_MAX_TICKS = 64
_LEAST_SPAN = 1e-300
_MAX_DECIMALS = 9


@dataclass(frozen=True, slots=True)
class Tick:
    """A value on an axis and its label."""

    value: float
    label: str


def linear_ticks(low: float, high: float, most: int, *, whole: bool = False) -> tuple[Tick, ...]:
    """At most `most` evenly spaced round numbers from `low` to `high`; `whole` keeps to whole numbers."""
    if not _usable(low, high, most):
        return ()
    step = nice_step((high - low) / most, whole=whole)
    if len(_multiples(low, high, step)) > most:
        step = nice_step(step * 1.01, whole=whole)
    values = _multiples(low, high, step)
    return _labelled(values, number_labels(values, step))


def log_ticks(low: float, high: float, most: int) -> tuple[Tick, ...]:
    """Round numbers for a logarithmic axis; evenly spaced over less than half a decade."""
    if not _usable(low, high, most) or low <= 0:
        return ()
    best: list[float] = []
    for mantissas in _LOG_MANTISSAS:
        values = _log_values(low, high, mantissas)
        if len(values) > most:
            break
        best = values
    if len(best) < 2:
        decades = math.log10(high / low)
        if decades <= 2:
            return linear_ticks(low, high, most)
        powers = _log_values(low, high, (1.0,))
        best = powers[:: max(1, math.ceil(len(powers) / most))]
        return _labelled(best, [f"{value:g}" for value in best])
    if best[-1] / best[0] > 1000:
        return _labelled(best, [f"{value:g}" for value in best])
    decimals = max(_decimals(value) for value in best)
    return _labelled(best, [f"{value:.{decimals}f}" for value in best])


def time_ticks(low: float, high: float, most: int) -> tuple[Tick, ...]:
    """Round times from `low` to `high`, both in seconds: `30s`, `5m`, `1h30`, `2d`."""
    if not _usable(low, high, most):
        return ()
    wanted = (high - low) / most
    if wanted < 1:
        step = nice_step(wanted)
    else:
        fitting = [float(clock) for clock in _CLOCK_S if clock >= wanted]
        step = fitting[0] if fitting else 86_400 * nice_step(wanted / 86_400, whole=True)
    if len(_multiples(low, high, step)) > most:
        step *= 2
    values = _multiples(low, high, step)
    return _labelled(values, [duration_label(value, step) for value in values])


def nice_step(least: float, *, whole: bool = False) -> float:
    """The smallest round number that is at least `least` (which is positive)."""
    if whole and least <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    choices = _NICE_WHOLE if whole else _NICE
    # Dividing by a power of ten leaves 2.0000000000000004 for 2: that is 2.
    return next((nice * power for nice in choices if nice * power >= least * (1 - 1e-9)), 10 * power)


def nice_ceiling(
    value: float, per_decade: Sequence[float] = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
) -> float:
    """The smallest of a few round numbers that is at least `value` (which is positive)."""
    power = 10.0 ** math.floor(math.log10(value))
    return next((nice * power for nice in per_decade if nice * power >= value * (1 - 1e-9)), 10 * power)


def number_labels(values: Sequence[float], step: float) -> list[str]:
    """The values with one unit (k, M ...) and as many decimals as tell neighbours `step` apart."""
    largest = max((abs(value) for value in values), default=0.0)
    scale, unit = next(((s, u) for s, u in _UNITS if largest >= 10 * s or s == 1.0), _UNITS[-1])
    decimals = _decimals(step / scale)
    return [f"{value / scale + 0.0:.{decimals}f}{unit if value else ''}" for value in values]


def duration_label(seconds: float, step: float = 1.0) -> str:
    """A time in its two leading units at most; `step` (seconds) says how fine it must be."""
    if step < 1:
        return f"{seconds:.{_decimals(step)}f}s"
    whole = round(seconds)
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days}d{hours:02d}h" if hours else f"{days}d"
    if hours:
        return f"{hours}h{minutes:02d}" if minutes else f"{hours}h"
    if minutes:
        return f"{minutes}m{left:02d}" if left else f"{minutes}m"
    return f"{left}s"


def _usable(low: float, high: float, most: int) -> bool:
    return 0 < most <= _MAX_TICKS and _LEAST_SPAN < high - low < math.inf


def _multiples(low: float, high: float, step: float) -> list[float]:
    slack = 1e-9 * (high - low)
    first, last = math.ceil((low - slack) / step), math.floor((high + slack) / step)
    # A step below the numbers' precision gives the same number again.
    return sorted({number * step for number in range(first, last + 1)})


def _log_values(low: float, high: float, mantissas: Sequence[float]) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = (mantissa * 10.0**power for power in powers for mantissa in mantissas)
    return [value for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]


def _decimals(step: float) -> int:
    """The decimals that write multiples of `step` exactly, as far as a label should go."""
    for decimals in range(_MAX_DECIMALS):
        scaled = step * 10**decimals
        if abs(scaled - round(scaled)) < 1e-6 * scaled and round(scaled) > 0:
            return decimals
    return _MAX_DECIMALS


def _labelled(values: Sequence[float], labels: Sequence[str]) -> tuple[Tick, ...]:
    width = max(map(len, labels), default=0)
    return tuple(Tick(value, label.rjust(width)) for value, label in zip(values, labels, strict=True))
