"""One model, several threads: each takes its share of a batch, and gradients are summed in order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
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
"""How often ranks take over rank 0's parameters: hosts whose BLAS rounds differently would drift apart."""


class Dismissed(Exception):  # noqa: N818  (nothing went wrong)
    """Rank 0 ended the training that this rank follows."""


class Ranks(Protocol):
    """What a training asks of the others. All of them ask the same, in the same order."""

    @property
    def rank(self) -> int:
        """From 0, which leads."""
        ...

    @property
    def size(self) -> int: ...

    def add_up(self, gradient: FloatArray, loss: float) -> float:
        """The sum of all ranks' losses; the sum of their gradients takes the place of each.

        Raises: Dismissed, in ranks that follow.
        """
        ...

    def align(self, parameters_P: FloatArray) -> None:
        """Overwrites the parameters with those of rank 0."""
        ...


class Alone:
    """One process has the whole batch."""

    rank: Final = 0
    size: Final = 1

    def add_up(self, gradient: FloatArray, loss: float) -> float:  # noqa: ARG002
        return loss

    def align(self, parameters_P: FloatArray) -> None:  # noqa: ARG002
        return


ALONE: Final = Alone()


Work = Callable[[int], None]


class Team:
    """`size` threads, the caller's included. Close it when done."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._orders: list[SimpleQueue[Work | None]] = [SimpleQueue() for _ in range(size - 1)]
        self._reports: SimpleQueue[BaseException | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, args=(i,), name=f"femtotui-{i}", daemon=True)
            for i in range(1, size)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, work: Work) -> None:
        """Call `work(i)` on every thread i, and wait for all of them."""
        for orders in self._orders:
            orders.put(work)
        faults = [_fault_of(work, 0)]
        faults += [self._reports.get() for _ in self._orders]
        for fault in faults:
            if fault is not None:
                raise fault

    def share(self, work: Work, n: int) -> None:
        """Call work(0) to work(n - 1), every thread taking a contiguous part."""
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
        for orders in self._orders:
            orders.put(None)
        for thread in self._threads:
            thread.join()
        self._orders, self._threads = [], []

    def _serve(self, i: int) -> None:
        orders = self._orders[i - 1]
        while (work := orders.get()) is not None:
            self._reports.put(_fault_of(work, i))


def _fault_of(work: Work, i: int) -> BaseException | None:
    """What `work(i)` raises; it is raised again when all threads are done."""
    try:
        work(i)
    except BaseException as fault:
        return fault
    return None


ACTIVATION_BYTES = 80 * 2**20
"""Most memory that one thread's activations may take when the chunk is chosen for the user."""


CHUNK_TOKENS = 1024
"""Most tokens in a chunk chosen for the user: more are no faster, and memory should not follow the batch."""


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def activation_bytes(config: ModelConfig) -> int:
    """What one sequence takes in a training workspace, float32, without constants."""
    t, d, h, v = config.context, config.width, config.n_heads, config.vocab_size
    kept_a_layer = t * (16 * d + h * t + h + 34)
    if config.dropout:
        kept_a_layer += t * (2 * d + h * t)
    shared = t * (14 * d + h * t + v)
    return 4 * (config.n_layers * kept_a_layer + shared)


def choose_threads(batch: int) -> int:
    """As many as there are cores, but no more than sequences."""
    return min(usable_cores(), batch)


def choose_chunk(config: ModelConfig, batch: int, threads: int) -> int:
    """A thread's whole share at once if that keeps to the limits above, else equal parts of it that do."""
    share = -(-batch // threads)
    most = max(1, min(ACTIVATION_BYTES // activation_bytes(config), CHUNK_TOKENS // config.context))
    n_chunks = -(-share // most)
    return -(-share // n_chunks)


@dataclass(frozen=True)
class Chunk:
    """Sequences `start` to `stop` of a batch, and whether a thread's gradient is added to or begun."""

    start: int
    stop: int
    add: bool


def chunks_of(batch: int, threads: int, chunk: int) -> tuple[tuple[Chunk, ...], ...]:
    """Every thread's chunks: contiguous shares, equal but for one sequence, cut into chunks."""
    bounds = [batch * i // threads for i in range(threads + 1)]
    return tuple(
        tuple(Chunk(at, min(at + chunk, stop), add=at > start) for at in range(start, stop, chunk))
        for start, stop in pairwise(bounds)
    )


class Workers:
    """Threads with a workspace and a gradient each, over one `model`. `gradient` is the sum, of the
    parameters.

    The same seed, thread count and chunk give the same bits, whichever thread finishes first. `threads` are
    those of all `ranks`, which have equally many each; the ones of this rank take their shares of a batch.
    """

    def __init__(
        self,
        model: Model,
        config: ModelConfig,
        batch: int,
        threads: int,
        chunk: int,
        ranks: Ranks = ALONE,
    ) -> None:
        self.model, self.config = model, config
        own = threads // ranks.size
        self.team = Team(own)
        self._ranks = ranks
        self._gradients = [model.empty_gradient() for _ in range(own)]
        self.gradient = Tensors.of(self._room_for_the_sum(), config)
        self._chunks = chunks_of(batch, threads, chunk)[ranks.rank * own : (ranks.rank + 1) * own]
        self._chunk = chunk
        dtype = model.parameters.flat_P.dtype
        self._pools = [Pool(dtype) for _ in range(own)]
        self._workspaces: list[dict[int, Workspace]] = [{} for _ in range(own)]
        for thread in range(own):
            self._workspace(thread, chunk)

    def _room_for_the_sum(self) -> FloatArray:
        """Once the threads' gradients are added up, in the first one's memory, the last one's is free."""
        flat_P = self.model.parameters.flat_P
        if len(self._gradients) == 1:
            return np.zeros_like(flat_P)
        return self._gradients[-1].memory[: flat_P.size]

    def _workspace(self, thread: int, b: int) -> Workspace:
        """The thread's workspace for `b` sequences, in the memory of its largest one."""
        kept = self._workspaces[thread]
        if b not in kept:
            kept[b] = Workspace(self.config, self.model.wiring, b, self._pools[thread], training=True)
        return kept[b]

    def loss_and_gradient(self, inputs_BT: IdArray, targets_BT: IdArray, seed: int, step: int) -> float:
        """The mean loss of a batch; its gradient is left in `gradient`.

        Raises: Dismissed.
        """
        n_total = inputs_BT.size
        losses = [0.0] * self.team.size

        def work(thread: int) -> None:
            with np.errstate(all="ignore"):  # what overflows is caught by the sums, or by the loss
                for chunk in self._chunks[thread]:
                    ws = self._workspace(thread, chunk.stop - chunk.start)
                    draw_masks(ws, self.config.dropout, seed, step, chunk.start)
                    losses[thread] += self.model.loss_and_gradient(
                        inputs_BT[chunk.start : chunk.stop].reshape(-1),
                        targets_BT[chunk.start : chunk.stop].reshape(-1),
                        ws,
                        self._gradients[thread],
                        n_total,
                        add=chunk.add,
                    )

        self.team.run(work)
        self._sum_gradients()
        loss = self._ranks.add_up(self._gradients[0].flat, sum(losses))
        self._unfold()
        return loss / n_total

    def _sum_gradients(self) -> None:
        """Add the threads' gradients up in order; the sum is the first one's then."""
        total, *others = (gradient.flat for gradient in self._gradients)

        def sum_block(i: int) -> None:
            at = slice(i * BLOCK, (i + 1) * BLOCK)
            for other in others:
                np.add(total[at], other[at], out=total[at])

        self.share(sum_block, -(-total.size // BLOCK))

    def _unfold(self) -> None:
        """Turn the summed gradient of the folded weights into one of the parameters."""

        def unfold(piece: int) -> None:
            self.model.folding.unfold(piece, self._gradients[0], self.gradient)

        self.share(unfold, self.model.folding.n_pieces)

    @property
    def gradient_size(self) -> int:
        """Elements of the vector that ranks add up."""
        return self._gradients[0].flat.size

    def refresh(self) -> None:
        """Fold the changed parameters anew."""
        self.share(self.model.folding.fold, self.model.folding.n_pieces)

    def share(self, work: Work, n: int) -> None:
        """Do work(0) to work(n - 1) on all threads. What overflows shows in the loss, or in the norm."""

        def quiet_work(i: int) -> None:
            with np.errstate(all="ignore"):
                work(i)

        self.team.share(quiet_work, n)

    def mean_loss(self, inputs_WT: IdArray, targets_WT: IdArray) -> float:
        """The mean loss of any number of windows, without dropout."""
        shares = chunks_of(len(inputs_WT), self.team.size, self._chunk)
        losses = [0.0] * self.team.size

        def work(thread: int) -> None:
            with np.errstate(all="ignore"):
                for chunk in shares[thread]:
                    ws = self._workspace(thread, chunk.stop - chunk.start)
                    losses[thread] += self.model.loss(
                        inputs_WT[chunk.start : chunk.stop].reshape(-1),
                        targets_WT[chunk.start : chunk.stop].reshape(-1),
                        ws,
                    )

        self.team.run(work)
        return sum(losses) / inputs_WT.size
