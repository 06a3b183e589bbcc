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

from ..config import AdamWConfig, ModelConfig, MuonConfig, Recipe, ScheduleConfig
from ..model.layers import FloatArray
from ..model.parameters import Parameter, parameter_table

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


_A, _B, _C = 3.4445, -4.7750, 2.0315
"""x -> a x + b x^3 + c x^5, applied to the singular values: steep at 0, and staying near 1. Jordan's."""

_TINY = 1e-7


def make_optimizer(model: ModelConfig, recipe: Recipe, threads: int, dtype: np.dtype[Any]) -> Optimizer:
    """The optimizer that a recipe asks for, over the flat vector of `model`."""
    if isinstance(recipe.optimizer, AdamWConfig):
        return AdamW(parameter_table(model), model.n_parameters, recipe.optimizer, dtype)
    return Muon(model, recipe.optimizer, recipe.schedule.base_lr, threads, dtype)


def is_muons(parameter: Parameter) -> bool:
    """Whether a parameter is a matrix inside a layer: not the embedding, not the head, no vector."""
    return parameter.name.startswith("layers.") and len(parameter.shape) == 2


class Orthogonaliser:
    """Room to orthogonalise K matrices of shape (M, N) at once; M must not be more than N.

    The room is the first `size` elements of `scratch`, which others may use in their turn.
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
        """Elements of scratch that it takes."""
        return 2 * k * m * n + 2 * k * m * m

    def run(self, iterations: int) -> FloatArray:
        """Push all singular values of `x_KMN`, which is used up, to about 1.

        X -> (a I + b A + c A^2) X, where A = X X^T, does to each singular value what the polynomial does.
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
    """Matrices of one kind in some layers: where they lie in the flat vector, and how.

    `splits` is how many matrices one parameter holds side by side: queries, keys and values are three.
    """

    start: int
    layers: int
    rows: int
    columns: int
    splits: int

    def of(self, flat_P: FloatArray) -> FloatArray:
        """A view (layers, splits, M, N) of a flat vector; what is taller than wide shows as its transpose."""
        size = self.layers * self.rows * self.columns
        wide = flat_P[self.start : self.start + size].reshape(self.layers, self.rows, self.splits, self.width)
        stack = wide.swapaxes(1, 2)
        return stack.swapaxes(2, 3) if self.rows > self.width else stack

    @property
    def width(self) -> int:
        return self.columns // self.splits

    @property
    def room(self) -> tuple[int, int, int]:
        """How many matrices, and their shorter and longer side."""
        short, long = sorted((self.rows, self.width))
        return self.layers * self.splits, short, long

    @property
    def scale(self) -> float:
        """sqrt(max(1, outputs / inputs)): what an update does to the outputs is the same for every shape."""
        return math.sqrt(max(1.0, self.width / self.rows))


class Muon:
    """Momentum in Nesterov's form, orthogonalised, and AdamW for what is no matrix inside a layer."""

    def __init__(
        self, model: ModelConfig, config: MuonConfig, base_lr: float, threads: int, dtype: np.dtype[Any]
    ) -> None:
        self._config, self._base_lr = config, base_lr
        others = [parameter for parameter in parameter_table(model) if not is_muons(parameter)]
        self._adamw = AdamW(others, model.n_parameters, config.adamw, dtype)
        self._momentum_P = np.zeros(model.n_parameters, dtype)
        self._pieces = [
            _rooms(stacks_of(model, layers), dtype) for layers in _layer_ranges(model.n_layers, threads)
        ]
        self.steps_done = 0

    def state(self) -> dict[str, FloatArray]:
        return {"momentum": self._momentum_P, **self._adamw.state()}

    def step(
        self, parameters_P: FloatArray, gradient_P: FloatArray, norm: float, lr: float, share: Share
    ) -> None:
        """`lr` is AdamW's rate; the matrices' follows it, see `config.MuonConfig`."""
        clip = clip_factor(self._config.adamw.clip_norm, norm)
        rate = self._config.lr * lr / self._base_lr

        def update_piece(i: int) -> None:
            for stack, room in self._pieces[i]:
                self._update(stack, room, parameters_P, gradient_P, clip, rate)

        share(update_piece, len(self._pieces))
        self._adamw.steps_done = self.steps_done
        self._adamw.step(parameters_P, gradient_P, norm, lr, share)
        self.steps_done += 1

    def _update(
        self,
        stack: Stack,
        room: Orthogonaliser,
        parameters_P: FloatArray,
        gradient_P: FloatArray,
        clip: float,
        rate: float,
    ) -> None:
        momentum, g = stack.of(self._momentum_P), stack.of(gradient_P)
        x = room.x_KMN.reshape(g.shape)
        np.multiply(g, clip, out=x)
        np.multiply(momentum, self._config.momentum, out=momentum)
        np.add(momentum, x, out=momentum)
        np.multiply(momentum, self._config.momentum, out=g)
        np.add(x, g, out=x)
        update = room.run(self._config.iterations)
        np.multiply(update, rate * stack.scale, out=update)
        p = stack.of(parameters_P)
        if self._config.weight_decay:
            np.multiply(p, 1 - rate * self._config.weight_decay, out=p)
        np.subtract(p, update.reshape(p.shape), out=p)


def stacks_of(model: ModelConfig, layers: range) -> list[Stack]:
    """Every kind of matrix in a range of layers."""
    table = {parameter.name: parameter for parameter in parameter_table(model)}
    kinds = [
        name.split(".", 2)[2] for name, p in table.items() if is_muons(p) and name.startswith("layers.0.")
    ]
    stacks = []
    for kind in kinds:
        first = table[f"layers.{layers.start}.{kind}"]
        rows, columns = first.shape
        splits = 3 if kind == "attention.qkv.weight" else 1
        stacks.append(Stack(first.offset, len(layers), rows, columns, splits))
    return stacks


def _rooms(stacks: list[Stack], dtype: np.dtype[Any]) -> list[tuple[Stack, Orthogonaliser]]:
    """A room for each stack, all in the same place: one thread takes them one after the other."""
    scratch = np.zeros(max(Orthogonaliser.size(*stack.room) for stack in stacks), dtype)
    return [(stack, Orthogonaliser(*stack.room, scratch)) for stack in stacks]


def _layer_ranges(n_layers: int, threads: int) -> list[range]:
    """The layers in as many contiguous ranges as there are threads, but none empty."""
    n = min(threads, n_layers)
    return [range(n_layers * i // n, n_layers * (i + 1) // n) for i in range(n)]
