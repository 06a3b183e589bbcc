"""The quantities that a chart shows of every step: the loss, and others that are kept in bounded memory.

Shapes, as suffixes: K points, R rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..text.formats import rate
from .series import Floats, LossSeries, Smoother


class Unsmoothed(Smoother):
    """No average: for values without noise, which an average would only show late."""

    def extend(self, values_K: Floats, steps_K: Floats) -> Floats:  # noqa: ARG002
        return values_K


class HarmonicSmoother(Smoother):
    """The running average of rates: the reciprocal of the average time."""

    def extend(self, values_K: Floats, steps_K: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            return 1 / super().extend(1 / values_K, steps_K)


@dataclass(frozen=True)
class Quantity:
    """A number per step: its name, its value in words, and how it is averaged."""

    name: str
    words: Callable[[float], str]
    smoother: type[Smoother] = Smoother

    @property
    def is_exact(self) -> bool:
        """Whether the curve is the values themselves, all of them in sight."""
        return self.smoother is Unsmoothed


LOSS = Quantity("loss", "{:.4f}".format)
LEARNING_RATE = Quantity("learning rate", "{:.2e}".format, Unsmoothed)
GRADIENT_NORM = Quantity("gradient norm", "{:.3f}".format)
THROUGHPUT = Quantity("throughput", rate, HarmonicSmoother)

CAPACITY = 2**15
"""Points that are kept: 1.3 MiB, a hundred for each column of dots on a wide chart."""


class StepHistory:
    """Learning rate, gradient norm and time of every step of a run, in at most `CAPACITY` points.

    A point is a step, as long as there is room; then, again and again, two neighbours become one. It has the
    last step's number and rate, the greatest gradient norm, so that no spike is lost, and the mean time.
    """

    def __init__(self) -> None:
        # Rows: step, seconds since the start, learning rate, gradient norm, milliseconds. Memory that has not
        # been written to is not taken from the system.
        self._room_RK = np.empty((5, CAPACITY))
        self._size = 0
        self._steps_per_point = 1
        self._waiting_RK = np.empty((5, 0))

    def extend(self, *rows: ArrayLike) -> None:
        """Append steps: their numbers, times in s, learning rates, gradient norms, durations in ms."""
        waiting_RK = np.concatenate([self._waiting_RK, np.asarray(rows, np.float64)], axis=1)
        while True:
            n = min(waiting_RK.shape[1] // self._steps_per_point, CAPACITY - self._size)
            taken = n * self._steps_per_point
            merged_RK = _merged(waiting_RK[:, :taken], self._steps_per_point)
            self._room_RK[:, self._size : self._size + n] = merged_RK
            self._size, waiting_RK = self._size + n, waiting_RK[:, taken:]
            if self._size < CAPACITY:
                break
            self._size, self._steps_per_point = CAPACITY // 2, 2 * self._steps_per_point
            self._room_RK[:, : self._size] = _merged(self._room_RK, 2)
        self._waiting_RK = waiting_RK.copy()

    def forget_after(self, step: float) -> None:
        """Drop what lies after `step`."""
        self._size = int(np.searchsorted(self._room_RK[0, : self._size], step, "right"))
        self._waiting_RK = self._waiting_RK[:, self._waiting_RK[0] <= step]

    def series(self, quantity: Quantity, tokens_per_step: int) -> LossSeries:
        """The points of a quantity other than the loss, to draw."""
        steps_K, seconds_K, rates_K, norms_K, ms_K = self._room_RK[:, : self._size]
        if quantity is THROUGHPUT:
            with np.errstate(divide="ignore"):
                values_K = tokens_per_step * 1000 / ms_K
        else:
            values_K = rates_K if quantity is LEARNING_RATE else norms_K
        series = LossSeries(smoother=quantity.smoother)
        series.extend(steps_K, values_K, seconds_K)
        return series


def _merged(columns_RK: Floats, n: int) -> Floats:
    """Every `n` neighbours as one point."""
    if n == 1:
        return columns_RK
    blocks_RKn = columns_RK.reshape(5, -1, n)
    merged_RK = blocks_RKn[:, :, -1].copy()
    merged_RK[3], merged_RK[4] = blocks_RKn[3].max(axis=1), blocks_RKn[4].mean(axis=1)
    return merged_RK
