"""Loss curves: points in growing buffers, their running average, and readable axis ranges.

Pure NumPy. Shapes, as suffixes: K points.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .ticks import nice_ceiling

Floats = NDArray[np.float64]

_FIRST_CAPACITY = 1024
_NEGLIGIBLE = 1e-12
_RANGE_SAMPLE = 4096
_EARLY_POINTS = 40  # up to here, the first values are most of the curve
_X_STEPS = (1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3.2, 3.6, 4, 4.5, 5, 5.5, 6, 7, 8, 9, 10)


class Smoother:
    """A running average whose weights fall exponentially with the steps between, normalised by their sum.

    `beta` is the weight of the step before: 0 leaves the curve as it is, 0.99 averages about a hundred steps,
    however many of them are points. Values that are not finite are skipped.
    """

    def __init__(self, beta: float) -> None:
        self.beta = beta
        self._step = -math.inf
        self._sums_2 = np.zeros(2)

    def extend(self, values_K: Floats, steps_K: Floats) -> Floats:
        """Add values at rising steps; the average after each, NaN where the value is not finite."""
        finite_K = np.isfinite(values_K)
        averages_K = np.full(values_K.shape, np.nan)
        if finite_K.any():
            kept_K = steps_K[finite_K]
            decay_K = self.beta ** np.diff(kept_K, prepend=self._step)
            sums_2K = np.stack([values_K[finite_K], np.ones(kept_K.size)])
            sums_2K[:, 0] += decay_K[0] * self._sums_2
            _accumulate(sums_2K, decay_K)
            averages_K[finite_K] = sums_2K[0] / sums_2K[1]
            self._step, self._sums_2 = float(kept_K[-1]), sums_2K[:, -1]
        return averages_K


def _accumulate(sums_2K: Floats, decay_K: Floats) -> None:
    """s[k] += decay[k] * s[k - 1], in place, by doubling: after pass i each s holds 2 ** i terms."""
    reach = 1
    while reach < decay_K.size and decay_K[reach:].max() > _NEGLIGIBLE:
        sums_2K[:, reach:] += decay_K[reach:] * sums_2K[:, :-reach]
        decay_K[reach:] *= decay_K[:-reach].copy()
        reach *= 2


class LossSeries:
    """The training loss of one run, or another number per step, raw and smoothed.

    Steps never decrease: points that go back to an earlier step (a run resumed from a checkpoint) replace
    everything from that step on. `rewritten` counts the calls of `forget_after`.
    """

    def __init__(self, beta: float = 0.9, smoother: type[Smoother] = Smoother) -> None:
        # Rows: steps, losses, times, averages. Twice as long whenever it is full, so that appending is cheap.
        self._room = np.empty((4, _FIRST_CAPACITY))
        self._size = 0
        self._smoother = smoother(beta)
        self.rewritten = 0

    @classmethod
    def of(cls, steps: ArrayLike, losses: ArrayLike, elapsed_s: ArrayLike | None = None) -> LossSeries:
        series = cls()
        series.extend(steps, losses, elapsed_s)
        return series

    def __len__(self) -> int:
        return self._size

    @property
    def steps(self) -> Floats:
        return self._room[0, : self._size]

    @property
    def losses(self) -> Floats:
        return self._room[1, : self._size]

    @property
    def elapsed_s(self) -> Floats:
        return self._room[2, : self._size]

    @property
    def smoothed(self) -> Floats:
        return self._room[3, : self._size]

    @property
    def has_times(self) -> bool:
        """Whether the newest point has a time."""
        return len(self) > 0 and bool(np.isfinite(self.elapsed_s[-1]))

    def extend(self, steps: ArrayLike, losses: ArrayLike, elapsed_s: ArrayLike | None = None) -> None:
        """Append points; those whose step is not a finite number are left out."""
        steps_K = np.atleast_1d(np.asarray(steps, dtype=np.float64)).ravel()
        losses_K = np.atleast_1d(np.asarray(losses, dtype=np.float64)).ravel()
        times_K = np.full(steps_K.shape, np.nan)
        if elapsed_s is not None:
            times_K[:] = elapsed_s
        if steps_K.size != losses_K.size:
            raise ValueError(f"{steps_K.size} steps for {losses_K.size} losses")
        known_K = np.isfinite(steps_K)
        steps_K, losses_K, times_K = steps_K[known_K], losses_K[known_K], times_K[known_K]
        if not steps_K.size:
            return
        order = np.argsort(steps_K, kind="stable")
        self._truncate(int(np.searchsorted(self.steps, steps_K[order[0]], "left")))
        start, self._size = self._size, self._size + steps_K.size
        if self._size > self._room.shape[1]:
            room = np.empty((4, max(self._size, 2 * self._room.shape[1])))
            room[:, :start] = self._room[:, :start]
            self._room = room
        averages_K = self._smoother.extend(losses_K[order], steps_K[order])
        self._room[:, start : self._size] = steps_K[order], losses_K[order], times_K[order], averages_K

    def smooth(self, beta: float) -> None:
        """Average over more or fewer values, from the first point on."""
        if beta != self._smoother.beta:
            self._smooth_again(beta)

    def _smooth_again(self, beta: float) -> None:
        self._smoother = type(self._smoother)(beta)
        self._room[3, : self._size] = self._smoother.extend(self.losses, self.steps)

    def forget_after(self, step: float) -> None:
        """Drop the points after `step`."""
        self.rewritten += 1
        self._truncate(int(np.searchsorted(self.steps, step, "right")))

    def _truncate(self, size: int) -> None:
        if size < self._size:
            self._size = size
            self._smooth_again(self._smoother.beta)

    def times_of(self, steps: Floats) -> Floats:
        """The times of steps in seconds, extrapolated at the average rate."""
        known = np.isfinite(self.elapsed_s)
        if not known.any():
            return np.full(np.shape(steps), np.nan)
        known_steps, known_times = self.steps[known], self.elapsed_s[known]
        pace = known_times[-1] / max(known_steps[-1], 1.0)
        ahead = np.maximum(np.asarray(steps) - known_steps[-1], 0.0)
        return np.asarray(np.interp(steps, known_steps, known_times) + pace * ahead)


def newest_finite(values_K: Floats) -> float:
    """The last finite value; NaN if there is none."""
    recent = values_K[-_RANGE_SAMPLE:]
    finite = recent[np.isfinite(recent)]
    return float(finite[-1]) if finite.size else math.nan


def x_range(newest: float, ahead: float) -> tuple[float, float]:
    """From 0 to a round number a little beyond the newest point and `ahead`, so that it seldom changes."""
    end = max(newest, ahead, 1e-3)
    return 0.0, nice_ceiling(end, _X_STEPS)


def y_range(raw_K: Floats, smoothed_K: Floats, extras: Floats, near: Floats) -> tuple[float, float] | None:
    """A range of loss in which the interesting part fills the chart; None if nothing is finite.

    The high values of the first steps drop out of the range once they are few (a tenth); the newest values
    never do, nor those of `extras` (validation). `near` (baselines, a goal) are included if they lie close.
    """
    raw, smoothed = _finite_sample(raw_K), _finite_sample(smoothed_K)
    if not raw.size:
        return None
    recent = raw[-max(8, raw.size // 8) :]
    lows = [np.percentile(raw, 0.5), smoothed.min(), newest_finite(smoothed_K)]
    highs = [np.percentile(raw, 90), np.percentile(recent, 97), newest_finite(smoothed_K)]
    if raw.size <= _EARLY_POINTS:
        highs.append(raw.max())
    extras = _finite_sample(extras)
    if extras.size:
        lows += [np.percentile(extras, 2), extras[-1]]
        highs += [np.percentile(extras, 75), extras[-1]]
    low, high = float(np.nanmin(lows)), float(np.nanmax(highs))
    return _widened(low, high, near)


def _finite_sample(values_K: Floats) -> Floats:
    """The finite values of an even sample of at most a few thousand, enough for percentiles."""
    sample = values_K[:: max(1, values_K.size // _RANGE_SAMPLE)]
    return sample[np.isfinite(sample)]


def _widened(low: float, high: float, near: Floats) -> tuple[float, float]:
    """Widen a range to values close to it, and to the least width that can be drawn."""
    span = high - low
    for value in near[np.isfinite(near)]:
        if low - 0.3 * span <= value <= high + 0.1 * span:
            low, high = min(low, float(value)), max(high, float(value))
    least = max(1e-3 * abs(low), 1e-6)
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
    return low, high


def settle(wanted: tuple[float, float], current: tuple[float, float] | None) -> tuple[float, float]:
    """`wanted` with a margin, or `current` if that still fits well, so that the axis seldom changes."""
    low, high = wanted
    if current is not None:
        span = current[1] - current[0]
        if current[0] <= low and high <= current[1] and high - low >= 0.8 * span:
            return current
    margin = 0.05 * (high - low)
    return low - margin, high + margin
