"""The verdict on a run: one line about its loss curve, from the numbers alone.

The trend is the Theil-Sen slope (Sen, 1968) of the medians of equal stretches of the latest part of the
curve, and it counts only if Kendall's rank test (Mann, 1945) makes chance an unlikely cause: single batches
are noise, and a flat curve must not be called falling because of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike

from femtotui.core.events import Baselines
from femtotui.presets import JournalRecord, Preset

from ..chart.series import Floats
from ..text.formats import Tone
from .state import RunState, Status

LEAST_STEPS = 60
"""Fewer steps give no verdict."""

_STRETCHES = 20
_WINDOW_SHARE = 0.4
_MOST_STEPS = 2000
_SIGNIFICANT_Z = 3.3  # Kendall's z; high, since a flat curve is tested thousands of times in a run
_LEAST_DROP = 0.003  # of the loss, over the window: less looks flat on a chart
_ABOVE_UNIFORM = 1.02
_RECENT = 20
_STALE_EVALS = 5


class Trend(Enum):
    """The direction of the loss."""

    UNKNOWN = "unknown"
    FALLING = "falling"
    FLAT = "flat"
    RISING = "rising"


@dataclass(frozen=True)
class Slope:
    """A trend and its rate, in nats per minute of training; positive where the loss rises."""

    trend: Trend
    per_minute: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """One line of text, and its tone."""

    words: str
    tone: Tone = "plain"


TOO_EARLY = Verdict("too early to tell")


def slope(losses: ArrayLike, elapsed_s: ArrayLike) -> Slope:
    """The trend of the latest part of a curve; both arrays have one value per step."""
    losses_K, seconds_K = np.asarray(losses, np.float64), np.asarray(elapsed_s, np.float64)
    window = int(min(max(LEAST_STEPS, _WINDOW_SHARE * losses_K.size), _MOST_STEPS))
    losses_K, seconds_K = losses_K[-window:], seconds_K[-window:]
    known_K = np.isfinite(losses_K) & np.isfinite(seconds_K)
    if np.count_nonzero(known_K) < LEAST_STEPS:
        return Slope(Trend.UNKNOWN)
    heights, times = _medians(losses_K[known_K]), _medians(seconds_K[known_K])
    per_second, z = _theil_sen(times, heights)
    drop = abs(per_second) * (times[-1] - times[0])
    if abs(z) < _SIGNIFICANT_Z or drop < _LEAST_DROP * abs(float(np.median(heights))):
        return Slope(Trend.FLAT, 60 * per_second)
    return Slope(Trend.FALLING if per_second < 0 else Trend.RISING, 60 * per_second)


def _medians(values_K: Floats) -> Floats:
    return np.array([np.median(part) for part in np.array_split(values_K, _STRETCHES)])


def _theil_sen(x_N: Floats, y_N: Floats) -> tuple[float, float]:
    """The median slope of all pairs, and Kendall's z of their signs."""
    first, second = np.triu_indices(x_N.size, 1)
    dx, dy = x_N[second] - x_N[first], y_N[second] - y_N[first]
    forward = dx > 0  # leaves out pairs between which the clock was set back
    if not forward.any():
        return 0.0, 0.0
    n = x_N.size
    spread = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    return float(np.median(dy[forward] / dx[forward])), float(np.sign(dy[forward]).sum()) / spread


def judge(
    steps: ArrayLike,
    losses: ArrayLike,
    elapsed_s: ArrayLike,
    evals: Sequence[tuple[int, float]],
    known: Baselines | None = None,
    record: JournalRecord | None = None,
    *,
    over: bool = False,
) -> Verdict:
    """The verdict on a curve, compared with the baselines `known` and the journal's run of the same data.

    `over`: the run has ended, and does not continue by itself.
    """
    steps, losses, elapsed_s = (np.asarray(column, np.float64) for column in (steps, losses, elapsed_s))
    if losses.size < LEAST_STEPS:
        return TOO_EARLY
    recent = losses[-_RECENT:]
    if not np.isfinite(recent).any():
        return Verdict("the loss is no longer a finite number", "error")
    now = float(np.mean(recent[np.isfinite(recent)]))
    found = slope(losses, elapsed_s)
    trend, overfitting = _trend_words(found, over=over), _overfitting_words(evals, found.trend)
    parts = (trend, overfitting, _height_words(now, known), _journal_words(steps, losses, now, record))
    is_worse = overfitting or found.trend is Trend.RISING
    tone: Tone = "warning" if is_worse else "good" if found.trend is Trend.FALLING else "plain"
    return Verdict(" · ".join(part for part in parts if part), tone)


def _trend_words(found: Slope, *, over: bool) -> str:
    speed = f"{_two_digits(abs(found.per_minute))}/min"
    match found.trend:
        case Trend.FALLING:
            return f"was still falling {speed} at the end" if over else f"still falling {speed}"
        case Trend.RISING:
            return f"rising {speed}: it gets worse"
        case Trend.FLAT:
            return "flat at the end" if over else "flat"
        case Trend.UNKNOWN:
            return ""


def _two_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _height_words(now: float, known: Baselines | None) -> str:
    """The distance from the floor, or from the baselines above it."""
    if known is None:
        return ""
    if now > known.uniform * _ABOVE_UNIFORM:
        return "worse than uniform guessing"
    if now > known.bigram:
        return f"{now - known.bigram:.2f} above the bigram baseline"
    if known.floor is not None and known.floor > 0:
        above = now / known.floor - 1
        return "at the floor" if above < 0.005 else f"{above:.0%} above the floor"
    return f"{1 - now / known.bigram:.0%} below the bigram baseline"


def _journal_words(steps: Floats, losses: Floats, now: float, record: JournalRecord | None) -> str:
    if record is None:
        return ""
    journal_end = f"{record.loss:.3f} at step {record.step:,}"
    if now <= record.loss:
        passed = _first_below(steps, losses, record.loss)
        when = f" since step {passed:,}" if passed else ""
        return f"below the journal's {record.loss:.3f}{when}"
    if steps[-1] < record.step:
        return f"the journal got to {journal_end}"
    return f"{now - record.loss:.2f} above the journal's {journal_end}"


def _first_below(steps: Floats, losses: Floats, level: float) -> int | None:
    """The first step whose `_RECENT` latest losses average below `level`."""
    sums = np.cumsum(np.nan_to_num(losses, nan=level + 1e3, posinf=level + 1e3))
    means = (sums[_RECENT:] - sums[:-_RECENT]) / _RECENT
    below = np.flatnonzero(means <= level)
    return int(steps[int(below[0]) + _RECENT]) if below.size else None


def _overfitting_words(evals: Sequence[tuple[int, float]], trend: Trend) -> str:
    """Overfitting: the training loss falls while the validation loss rises."""
    finite = [(step, loss) for step, loss in evals if math.isfinite(loss)]
    if trend is Trend.RISING or len(finite) <= _STALE_EVALS:
        return ""
    best = min(range(len(finite)), key=lambda index: finite[index][1])
    later = [loss for _, loss in finite[best + 1 :]]
    if len(later) < _STALE_EVALS or min(later[-3:]) < 1.02 * finite[best][1]:
        return ""
    return f"validation loss was lowest at step {finite[best][0]:,}: overfitting"


_STALE_STEPS = 5
_STALE_SHARE = 0.005


def verdict_of(state: RunState, preset: Preset | None) -> Verdict:
    """The verdict on a run in its present state. The journal's run counts only with the journal's data."""
    over = state.status in {Status.FINISHED, Status.FAILED, Status.PARKED}
    known = state.started.baselines if state.started is not None else None
    record = preset.journal if preset is not None and _has_its_data(state) else None
    return judge(state.steps, state.losses, state.seconds, state.evals, known, record, over=over)


def _has_its_data(state: RunState) -> bool:
    """Whether it trains on the journal's data: not on a stand-in, nor on the user's files."""
    name = state.started.data_name if state.started is not None else state.config.data.source
    return name == state.config.data.source and not state.config.data.paths


def too_early_words(state: RunState) -> str:
    """A warning about leaving a run whose loss still falls; the journal's runs were stopped too early."""
    found = slope(state.losses, state.seconds)
    if found.trend is not Trend.FALLING or state.status is Status.FINISHED:
        return ""
    return f"its loss was still falling, {_two_digits(-found.per_minute)} per minute"


class Judge:
    """Caches the verdict on a run until it has changed enough."""

    def __init__(self) -> None:
        self._seen: tuple[RunState, int, Status] | None = None
        self._n_steps = 0
        self._verdict = TOO_EARLY

    def verdict(self, state: RunState, preset: Preset | None) -> Verdict:
        """The verdict, at most half a percent of the run old."""
        seen, n_steps = (state, state.curve.rewritten, state.status), len(state.steps)
        is_stale = n_steps - self._n_steps >= max(_STALE_STEPS, _STALE_SHARE * self._n_steps)
        if is_stale or seen != self._seen:
            self._seen, self._n_steps = seen, n_steps
            self._verdict = verdict_of(state, preset)
        return self._verdict
