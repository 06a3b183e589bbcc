"""Data-parallel threads: each computes its share of a batch, and gradients are summed in a fixed order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from queue import SimpleQueue
from typing import Final, Protocol

import numpy as np

from ..config import ModelConfig
from ..model.gpt import Model
from ..model.layers import FloatArray, IdArray
from ..model.parameters import Tensors
from ..model.workspace import Pool, Workspace, draw_masks
from .optimizers import BLOCK

STEPS_TO_ALIGN: Final = 100
"""Interval at which ranks copy rank 0's parameters: hosts whose BLAS rounds differently would diverge."""


class Dismissed(Exception):  # noqa: N818  (not an error)
    """Rank 0 ended the training that this rank follows."""


class Ranks(Protocol):
    """The processes that share a training; `rank` 0 leads. All call the same methods in the same order."""

    rank: int
    size: int

    def add_up(self, gradient: FloatArray, loss: float) -> float:
        """The sum of all ranks' losses; each rank's `gradient` becomes the sum of all.

        Raises: Dismissed, in ranks other than 0.
        """
        ...

    def align(self, parameters_P: FloatArray) -> None:
        """Overwrite the parameters with those of rank 0."""
        ...


class Alone:
    """A single process, which has the whole batch."""

    rank = 0
    size = 1

    def add_up(self, gradient: FloatArray, loss: float) -> float:  # noqa: ARG002
        return loss

    def align(self, parameters_P: FloatArray) -> None:  # noqa: ARG002
        return


ALONE: Final = Alone()


Work = Callable[[int], None]


class Team:
    """`size` threads, including the caller's; must be closed."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._tasks: list[SimpleQueue[Work | None]] = [SimpleQueue() for _ in range(size - 1)]
        self._results: SimpleQueue[BaseException | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, args=(i,), name=f"femtotui-{i}", daemon=True)
            for i in range(1, size)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, work: Work) -> None:
        """Call `work(i)` on every thread i, and wait for all of them."""
        for tasks in self._tasks:
            tasks.put(work)
        faults = [_fault_of(work, 0), *(self._results.get() for _ in self._tasks)]
        for fault in faults:
            if fault is not None:
                raise fault

    def share(self, work: Work, n: int) -> None:
        """Call work(0) to work(n - 1); each thread has a contiguous part."""
        if self.size == 1 or n == 1:
            for i in range(n):
                work(i)
            return

        def part(thread: int) -> None:
            for i in range(n * thread // self.size, n * (thread + 1) // self.size):
                work(i)

        self.run(part)

    def close(self) -> None:
        """End the threads. Safe to call twice."""
        for tasks in self._tasks:
            tasks.put(None)
        for thread in self._threads:
            thread.join()
        self._tasks, self._threads = [], []

    def _serve(self, i: int) -> None:
        tasks = self._tasks[i - 1]
        while (work := tasks.get()) is not None:
            self._results.put(_fault_of(work, i))


def _fault_of(work: Work, i: int) -> BaseException | None:
    """The exception that `work(i)` raises, to be raised again when all threads are done."""
    try:
        work(i)
    except BaseException as fault:
        return fault
    return None


ACTIVATION_BYTES = 80 * 2**20
"""Most memory for one thread's activations when the chunk is chosen automatically."""

CHUNK_TOKENS = 1024
"""Most tokens in a chunk that is chosen automatically: more are no faster, and need more memory."""


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def activation_bytes(config: ModelConfig) -> int:
    """Bytes of one sequence in a training workspace, float32, without constants."""
    t, d, h, v = config.context, config.width, config.n_heads, config.vocab_size
    per_layer = t * (16 * d + h * t + h + 34)
    if config.dropout:
        per_layer += t * (2 * d + h * t)
    shared = t * (14 * d + h * t + v)
    return 4 * (config.n_layers * per_layer + shared)


def choose_threads(batch: int) -> int:
    """One thread per core, but no more than sequences."""
    return min(usable_cores(), batch)


def choose_chunk(config: ModelConfig, batch: int, threads: int) -> int:
    """A thread's whole share if that is within the limits above, else equal parts of it that are."""
    share = -(-batch // threads)
    most = max(1, min(ACTIVATION_BYTES // activation_bytes(config), CHUNK_TOKENS // config.context))
    n_chunks = -(-share // most)
    return -(-share // n_chunks)


@dataclass(frozen=True)
class Chunk:
    """Sequences `start` to `stop` of a batch; `add` their gradient to the thread's, or overwrite it."""

    start: int
    stop: int
    add: bool

    def of(self, ids_BT: IdArray) -> IdArray:
        return ids_BT[self.start : self.stop].reshape(-1)


def chunks_of(batch: int, threads: int, chunk: int) -> tuple[tuple[Chunk, ...], ...]:
    """Every thread's chunks: contiguous shares that differ by at most one sequence, cut into chunks."""
    bounds = [batch * i // threads for i in range(threads + 1)]
    return tuple(
        tuple(Chunk(at, min(at + chunk, stop), add=at > start) for at in range(start, stop, chunk))
        for start, stop in pairwise(bounds)
    )


class Workers:
    """Threads with a workspace and a gradient each, over one `model`; `gradient` is the sum, by parameter.

    The same seed, thread count and chunk give the same bits, whichever thread finishes first. `threads` is
    the total of all `ranks`, which have the same number each.
    """

    def __init__(self, model: Model, batch: int, threads: int, chunk: int, ranks: Ranks = ALONE) -> None:
        self.model, self.config = model, model.config
        own = threads // ranks.size
        self.team = Team(own)
        self._ranks = ranks
        self._gradients = [model.empty_gradient() for _ in range(own)]
        flat_P = model.parameters.flat_P
        # The last thread's memory is free once the sum is in the first one's.
        memory = np.zeros_like(flat_P) if own == 1 else self._gradients[-1].memory[: flat_P.size]
        self.gradient = Tensors.of(memory, model.config)
        self._chunks = chunks_of(batch, threads, chunk)[ranks.rank * own : (ranks.rank + 1) * own]
        self._chunk = chunk
        self._pools = [Pool(flat_P.dtype) for _ in range(own)]
        self._workspaces: list[dict[int, Workspace]] = [{} for _ in range(own)]
        for thread in range(own):
            self._workspace(thread, chunk)

    def _workspace(self, thread: int, b: int) -> Workspace:
        """The thread's workspace for `b` sequences, in the memory of its largest one."""
        kept = self._workspaces[thread]
        if b not in kept:
            kept[b] = Workspace(self.config, self.model.recipe, b, self._pools[thread], training=True)
        return kept[b]

    def loss_and_gradient(self, inputs_BT: IdArray, targets_BT: IdArray, seed: int, step: int) -> float:
        """The mean loss of a batch; its gradient is left in `gradient`.

        Raises: Dismissed.
        """
        n_total = inputs_BT.size

        def chunk_loss(thread: int, chunk: Chunk, ws: Workspace) -> float:
            draw_masks(ws, self.config.dropout, seed, step, chunk.start)
            ids = chunk.of(inputs_BT), chunk.of(targets_BT)
            return self.model.loss_and_gradient(*ids, ws, self._gradients[thread], n_total, add=chunk.add)

        loss = self._summed_loss(self._chunks, chunk_loss)
        self._sum_gradients()
        loss = self._ranks.add_up(self._gradients[0].flat, loss)
        folding = self.model.folding
        self.share(lambda i: folding.unfold(i, self._gradients[0], self.gradient), folding.n_pieces)
        return loss / n_total

    def mean_loss(self, inputs_WT: IdArray, targets_WT: IdArray) -> float:
        """The mean loss of any number of windows, without dropout."""

        def chunk_loss(_thread: int, chunk: Chunk, ws: Workspace) -> float:
            return self.model.loss(chunk.of(inputs_WT), chunk.of(targets_WT), ws)

        chunks = chunks_of(len(inputs_WT), self.team.size, self._chunk)
        return self._summed_loss(chunks, chunk_loss) / inputs_WT.size

    def _summed_loss(
        self, chunks: Sequence[Sequence[Chunk]], chunk_loss: Callable[[int, Chunk, Workspace], float]
    ) -> float:
        """The sum of `chunk_loss` over every thread's chunks, in a fixed order."""
        losses = [0.0] * self.team.size

        def work(thread: int) -> None:
            with np.errstate(all="ignore"):  # overflow shows in sums or in the loss
                for chunk in chunks[thread]:
                    ws = self._workspace(thread, chunk.stop - chunk.start)
                    losses[thread] += chunk_loss(thread, chunk, ws)

        self.team.run(work)
        return sum(losses)

    def _sum_gradients(self) -> None:
        """Add the other threads' gradients to the first one's, in order."""
        total, *others = (gradient.flat for gradient in self._gradients)

        def sum_block(i: int) -> None:
            at = slice(i * BLOCK, (i + 1) * BLOCK)
            for other in others:
                np.add(total[at], other[at], out=total[at])

        self.share(sum_block, -(-total.size // BLOCK))

    @property
    def gradient_size(self) -> int:
        """Elements of the vector that ranks sum."""
        return self._gradients[0].flat.size

    def refresh(self) -> None:
        """Fold the changed parameters again."""
        self.share(self.model.folding.fold, self.model.folding.n_pieces)

    def share(self, work: Work, n: int) -> None:
        """Do work(0) to work(n - 1) on all threads. Overflow shows in the loss or in the norm."""

        def quiet_work(i: int) -> None:
            with np.errstate(all="ignore"):
                work(i)

        self.team.share(quiet_work, n)
