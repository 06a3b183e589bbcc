"""AdamW and Muon over the flat vector, and the learning-rate schedule.

Vectors are processed in blocks, which threads share. Which thread processes which block changes no bit: each
block's arithmetic and the order of sums are fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from ..config import AdamWConfig, ModelConfig, MuonConfig, Recipe, ScheduleConfig
from ..model.layers import FloatArray
from ..model.parameters import Parameter, parameter_table

BLOCK = 131_072
"""Elements per block: five vectors of it fit a large cache, and threads seldom wait for the GIL."""

Share = Callable[[Callable[[int], None], int], None]
"""`share(work, n)` calls work(0) to work(n - 1), on any threads, and returns when all are done."""


def learning_rate(schedule: ScheduleConfig, step: int, n_steps: int) -> float:
    """The rate of step `step`, counted from 0, of a run of `n_steps`; see `config.ScheduleConfig`.

    Source: femtoGPT's schedule, which the journal used, with a decay that may end with the run.
    """
    if step < schedule.warmup_steps:
        return schedule.base_lr / schedule.warmup_steps * step
    decay_steps = schedule.decay_steps or max(1, n_steps - schedule.warmup_steps)
    fallen = (schedule.base_lr - schedule.min_lr) * (step - schedule.warmup_steps) / decay_steps
    return max(schedule.min_lr, schedule.base_lr - fallen)


@dataclass(frozen=True)
class Block:
    """A range of the flat vector, and whether weight decay applies to it."""

    start: int
    stop: int
    decays: bool


def blocks_of(parameters: Sequence[Parameter], decay: Literal["all", "matrices"]) -> tuple[Block, ...]:
    """Divide these parameters' ranges of the flat vector into blocks of at most `BLOCK` elements."""
    ranges: list[tuple[int, int, bool]] = []
    for parameter in parameters:
        start, stop = parameter.offset, parameter.offset + parameter.size
        decays = decay == "all" or len(parameter.shape) == 2
        if ranges and ranges[-1][1:] == (start, decays):
            ranges[-1] = (ranges[-1][0], stop, decays)
        else:
            ranges.append((start, stop, decays))
    return tuple(
        Block(at, min(at + BLOCK, stop), decays)
        for start, stop, decays in ranges
        for at in range(start, stop, BLOCK)
    )


def gradient_norm(gradient_P: FloatArray, share: Share) -> float:
    """The gradient's global norm; infinite or NaN if any element is."""
    squares = [0.0] * -(-gradient_P.size // BLOCK)

    def square_block(i: int) -> None:
        block = gradient_P[i * BLOCK : (i + 1) * BLOCK]
        squares[i] = float(np.dot(block, block))

    share(square_block, len(squares))
    return math.sqrt(sum(squares))


def clip_factor(clip_norm: float | None, norm: float) -> float:
    """The factor that scales a gradient of `norm` down to `clip_norm`, at most 1."""
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
        """An AdamW for `parameters` in a flat vector of `n_parameters`; others are not changed."""
        self._config = config
        self._blocks = blocks_of(parameters, config.decay)
        self.steps_done = 0
        self._mean_P = np.zeros(n_parameters, dtype)
        self._square_P = np.zeros(n_parameters, dtype)

    def state(self) -> dict[str, FloatArray]:
        """Vectors as long as the parameters, by name: views, which may be saved and overwritten."""
        return {"mean": self._mean_P, "square": self._square_P}

    def step(
        self, parameters_P: FloatArray, gradient_P: FloatArray, norm: float, lr: float, share: Share
    ) -> None:
        """Update `parameters_P` in place; `norm` is the gradient's, and `gradient_P` is overwritten."""
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
    """m = beta1 * m + (1 - beta1) * clip * g, v = beta2 * v + (1 - beta2) * (clip * g)^2; overwrites g."""
    np.multiply(g, (1 - o.beta1) * clip, out=g)
    np.multiply(m, o.beta1, out=m)
    np.add(m, g, out=m)
    np.multiply(g, g, out=g)
    np.multiply(g, (1 - o.beta2) / (1 - o.beta1) ** 2, out=g)
    np.multiply(v, o.beta2, out=v)
    np.add(v, g, out=v)


_A, _B, _C = 3.4445, -4.7750, 2.0315
"""Jordan's x -> a x + b x^3 + c x^5, applied to the singular values: steep at 0, stable near 1."""

_TINY = 1e-7


def uses_muon(parameter: Parameter) -> bool:
    """Whether Muon updates a parameter: a matrix inside a layer, not the embedding, the head or a vector."""
    return parameter.name.startswith("layers.") and len(parameter.shape) == 2


class Orthogonaliser:
    """Arrays to orthogonalise K matrices of shape (M, N) at once, M <= N, by Newton-Schulz iterations.

    They are the first `size` elements of `scratch`, which others may use at other times.
    """

    def __init__(self, k: int, m: int, n: int, scratch: FloatArray) -> None:
        wide, square = k * m * n, k * m * m
        ends = np.cumsum([wide, wide, square, square])
        x, other, a, b, _ = np.split(scratch, ends)
        self.x_KMN, self._other_KMN = x.reshape(k, m, n), other.reshape(k, m, n)
        self._a_KMM, self._b_KMM = a.reshape(k, m, m), b.reshape(k, m, m)
        self._diagonal_KM = np.einsum("kmm->km", self._b_KMM)

    @staticmethod
    def size(k: int, m: int, n: int) -> int:
        """Elements of scratch that it needs."""
        return 2 * k * m * n + 2 * k * m * m

    def run(self, iterations: int) -> FloatArray:
        """Bring all singular values of `x_KMN`, which is overwritten, to about 1.

        X -> (a I + b A + c A^2) X, where A = X X^T, applies the polynomial to each singular value.
        """
        x, other = self.x_KMN, self._other_KMN
        norms_K = np.sqrt(np.einsum("kmn,kmn->k", x, x))
        np.divide(x, norms_K[:, None, None] + _TINY, out=x)
        for _ in range(iterations):
            np.matmul(x, x.swapaxes(1, 2), out=self._a_KMM)
            np.matmul(self._a_KMM, self._a_KMM, out=self._b_KMM)
            np.multiply(self._b_KMM, _C, out=self._b_KMM)
            np.multiply(self._a_KMM, _B, out=self._a_KMM)
            np.add(self._b_KMM, self._a_KMM, out=self._b_KMM)
            np.add(self._diagonal_KM, _A, out=self._diagonal_KM)
            np.matmul(self._b_KMM, x, out=other)
            x, other = other, x
        return x


@dataclass(frozen=True)
class Stack:
    """Matrices of one kind in some layers, and their position in the flat vector.

    `splits` is the number of matrices side by side in one parameter: queries, keys and values are three.
    """

    start: int
    layers: int
    rows: int
    columns: int
    splits: int

    def of(self, flat_P: FloatArray) -> FloatArray:
        """A view (layers, splits, M, N) of a flat vector; tall matrices are transposed."""
        size = self.layers * self.rows * self.columns
        wide = flat_P[self.start : self.start + size].reshape(self.layers, self.rows, self.splits, self.width)
        stack = wide.swapaxes(1, 2)
        return stack.swapaxes(2, 3) if self.rows > self.width else stack

    @property
    def width(self) -> int:
        return self.columns // self.splits

    @property
    def shape(self) -> tuple[int, int, int]:
        """The number of matrices, and their shorter and longer side."""
        short, long = sorted((self.rows, self.width))
        return self.layers * self.splits, short, long

    @property
    def scale(self) -> float:
        """sqrt(max(1, outputs / inputs)): updates of all shapes change the outputs equally."""
        return math.sqrt(max(1.0, self.width / self.rows))


class Muon:
    """Orthogonalised Nesterov momentum for the matrices inside layers, and AdamW for all other parameters."""

    def __init__(
        self, model: ModelConfig, config: MuonConfig, base_lr: float, threads: int, dtype: np.dtype[Any]
    ) -> None:
        self._config, self._base_lr = config, base_lr
        others = [parameter for parameter in parameter_table(model) if not uses_muon(parameter)]
        self._adamw = AdamW(others, model.n_parameters, config.adamw, dtype)
        self._momentum_P = np.zeros(model.n_parameters, dtype)
        n, n_layers = min(threads, model.n_layers), model.n_layers
        ranges = (range(n_layers * i // n, n_layers * (i + 1) // n) for i in range(n))
        self._pieces = [_with_orthogonalisers(stacks_of(model, layers), dtype) for layers in ranges]
        self.steps_done = 0

    def state(self) -> dict[str, FloatArray]:
        return {"momentum": self._momentum_P, **self._adamw.state()}

    def step(
        self, parameters_P: FloatArray, gradient_P: FloatArray, norm: float, lr: float, share: Share
    ) -> None:
        """See AdamW.step; `lr` is AdamW's rate, and the matrices' follows it (see `config.MuonConfig`)."""
        clip = clip_factor(self._config.adamw.clip_norm, norm)
        rate = self._config.lr * lr / self._base_lr

        def update_piece(i: int) -> None:
            for stack, orthogonaliser in self._pieces[i]:
                momentum, g = stack.of(self._momentum_P), stack.of(gradient_P)
                x = orthogonaliser.x_KMN.reshape(g.shape)
                np.multiply(g, clip, out=x)
                np.multiply(momentum, self._config.momentum, out=momentum)
                np.add(momentum, x, out=momentum)
                np.multiply(momentum, self._config.momentum, out=g)
                np.add(x, g, out=x)
                update = orthogonaliser.run(self._config.iterations)
                np.multiply(update, rate * stack.scale, out=update)
                p = stack.of(parameters_P)
                if self._config.weight_decay:
                    np.multiply(p, 1 - rate * self._config.weight_decay, out=p)
                np.subtract(p, update.reshape(p.shape), out=p)

        share(update_piece, len(self._pieces))
        self._adamw.steps_done = self.steps_done
        self._adamw.step(parameters_P, gradient_P, norm, lr, share)
        self.steps_done += 1


Optimizer: TypeAlias = AdamW | Muon


def make_optimizer(model: ModelConfig, recipe: Recipe, threads: int, dtype: np.dtype[Any]) -> Optimizer:
    """The recipe's optimizer, over the flat vector of `model`."""
    if isinstance(recipe.optimizer, AdamWConfig):
        return AdamW(parameter_table(model), model.n_parameters, recipe.optimizer, dtype)
    return Muon(model, recipe.optimizer, recipe.schedule.base_lr, threads, dtype)


def stacks_of(model: ModelConfig, layers: range) -> list[Stack]:
    """Every kind of matrix in a range of layers."""
    table = {parameter.name: parameter for parameter in parameter_table(model)}
    kinds = [
        name.split(".", 2)[2] for name, p in table.items() if uses_muon(p) and name.startswith("layers.0.")
    ]
    stacks = []
    for kind in kinds:
        first = table[f"layers.{layers.start}.{kind}"]
        rows, columns = first.shape
        splits = 3 if kind == "attention.qkv.weight" else 1
        stacks.append(Stack(first.offset, len(layers), rows, columns, splits))
    return stacks


def _with_orthogonalisers(stacks: list[Stack], dtype: np.dtype[Any]) -> list[tuple[Stack, Orthogonaliser]]:
    """An orthogonaliser for each stack; they share memory, since one thread runs them in turn."""
    scratch = np.zeros(max(Orthogonaliser.size(*stack.shape) for stack in stacks), dtype)
    return [(stack, Orthogonaliser(*stack.shape, scratch)) for stack in stacks]
