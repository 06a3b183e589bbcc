"""AdamW over the flat vector, and the learning-rate schedule.

Everything here goes through the vectors in blocks, and blocks are shared between threads. Which thread takes
which block changes no bit: each block's arithmetic and the order of the sums are fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from .arrays import FloatArray
from .config import AdamWConfig, ScheduleConfig
from .parameters import Parameter

BLOCK = 131_072
"""Elements a block: no more than a large cache holds of five vectors, and not so few that threads queue for
the interpreter between one short pass and the next."""

Share = Callable[[Callable[[int], None], int], None]
"""`share(work, n)` calls work(0) to work(n - 1), on any threads, and returns when all are done."""


def learning_rate(schedule: ScheduleConfig, step: int, n_steps: int) -> float:
    """The rate for optimizer step `step`, counted from 0, of a run of `n_steps`; see `config.ScheduleConfig`.

    Source: femtoGPT's schedule, which the journal used, generalised to a line that ends with the run.
    """
    if step < schedule.warmup_steps:
        return schedule.base_lr / schedule.warmup_steps * step
    decay_steps = schedule.decay_steps or max(1, n_steps - schedule.warmup_steps)
    fallen = (schedule.base_lr - schedule.min_lr) * (step - schedule.warmup_steps) / decay_steps
    return max(schedule.min_lr, schedule.base_lr - fallen)


@dataclass(frozen=True)
class Block:
    """A stretch of the flat vector that weight decay falls on, or not, as a whole."""

    start: int
    stop: int
    decays: bool


def blocks_of(parameters: Sequence[Parameter], decay: Literal["all", "matrices"]) -> tuple[Block, ...]:
    """Cut what these parameters fill of the flat vector into blocks of at most `BLOCK` elements."""
    stretches: list[tuple[int, int, bool]] = []
    for parameter in parameters:
        start, stop = parameter.offset, parameter.offset + parameter.size
        decays = decay == "all" or len(parameter.shape) == 2
        if stretches and stretches[-1][1:] == (start, decays):
            stretches[-1] = (stretches[-1][0], stop, decays)
        else:
            stretches.append((start, stop, decays))
    return tuple(
        Block(at, min(at + BLOCK, stop), decays)
        for start, stop, decays in stretches
        for at in range(start, stop, BLOCK)
    )


class Optimizer(Protocol):
    """What turns a gradient into better parameters, and has a state of its own to be saved."""

    steps_done: int

    def state(self) -> dict[str, FloatArray]:
        """Vectors as long as the parameters, by name: views, to be saved and to be written to."""
        ...

    def step(
        self, parameters_P: FloatArray, gradient_P: FloatArray, norm: float, lr: float, share: Share
    ) -> None:
        """Update `parameters_P` in place; `norm` is the gradient's, and `gradient_P` is used up."""
        ...


def gradient_norm(gradient_P: FloatArray, share: Share) -> float:
    """The gradient's global norm; infinite or NaN if any element is."""
    squares = [0.0] * -(-gradient_P.size // BLOCK)

    def square_block(i: int) -> None:
        block = gradient_P[i * BLOCK : (i + 1) * BLOCK]
        squares[i] = float(np.dot(block, block))

    share(square_block, len(squares))
    return math.sqrt(sum(squares))


def clip_factor(clip_norm: float | None, norm: float) -> float:
    """What a gradient of `norm` has to be multiplied with so that it is no longer than `clip_norm`."""
    return min(1.0, clip_norm / norm) if clip_norm is not None and norm > 0 else 1.0


class AdamW:
    """AdamW with optional clipping of the global gradient norm.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2, with the bias
    corrections gathered in the step size:  p -= lr * decay * p + lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m /
    (sqrt(v) + eps * sqrt(1 - beta2^t)).
    """

    def __init__(
        self, parameters: Sequence[Parameter], n_parameters: int, config: AdamWConfig, dtype: np.dtype[Any]
    ) -> None:
        """An AdamW for `parameters` out of a flat vector of `n_parameters`; others are left alone."""
        self._config = config
        self._blocks = blocks_of(parameters, config.decay)
        self.steps_done = 0
        self._mean_P = np.zeros(n_parameters, dtype)
        self._square_P = np.zeros(n_parameters, dtype)

    def state(self) -> dict[str, FloatArray]:
        return {"mean": self._mean_P, "square": self._square_P}

    def step(
        self, parameters_P: FloatArray, gradient_P: FloatArray, norm: float, lr: float, share: Share
    ) -> None:
        o = self._config
        self.steps_done += 1
        clip = clip_factor(o.clip_norm, norm)
        correction2 = math.sqrt(1 - o.beta2**self.steps_done)
        rate = lr * correction2 / (1 - o.beta1**self.steps_done)
        eps = o.eps * correction2

        def update_block(i: int) -> None:
            block = self._blocks[i]
            at = slice(block.start, block.stop)
            p, g, m, v = parameters_P[at], gradient_P[at], self._mean_P[at], self._square_P[at]
            _moments(g, m, v, o, clip)
            np.sqrt(v, out=g)
            np.add(g, eps, out=g)
            np.divide(m, g, out=g)
            np.multiply(g, rate, out=g)
            if block.decays and o.weight_decay:
                np.multiply(p, 1 - lr * o.weight_decay, out=p)
            np.subtract(p, g, out=p)

        share(update_block, len(self._blocks))


def _moments(g: FloatArray, m: FloatArray, v: FloatArray, o: AdamWConfig, clip: float) -> None:
    """m = beta1 * m + (1 - beta1) * clip * g, v = beta2 * v + (1 - beta2) * (clip * g)^2, using g up."""
    np.multiply(g, (1 - o.beta1) * clip, out=g)
    np.multiply(m, o.beta1, out=m)
    np.add(m, g, out=m)
    np.multiply(g, g, out=g)
    np.multiply(g, (1 - o.beta2) / (1 - o.beta1) ** 2, out=g)
    np.multiply(v, o.beta2, out=v)
    np.add(v, g, out=v)
