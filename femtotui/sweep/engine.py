"""The engine of sweeps on this machine: trainer processes, each at the end of its own pipes.

No port and no socket: there is nothing that another user of the machine could connect to.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Protocol, Self

from . import work
from .messages import Order, Reply, SweepReport


@dataclass(frozen=True)
class Ended:
    """An order is done with: `reply` is what its worker says, or `reason` why there is none."""

    index: int
    reply: Reply | None
    reason: str = ""


class Engine(Protocol):
    """Takes orders and tells what becomes of them."""

    @property
    def slots(self) -> int:
        """How many orders it works on at a time."""

    def submit(self, order: Order, text: bytes) -> None:
        """Begins to work on an order."""

    def next_message(self, timeout: float) -> SweepReport | Ended | None:
        """What happens next; None if nothing does in time. Raises: ClusterError."""

    def stop(self, indices: Iterable[int]) -> None:
        """Asks for these runs to be saved and to end."""

    def discard(self) -> None:
        """Clears away what the sweep has left on disks."""

    def check_workers(self) -> None:
        """Finds out who may be used. Raises: ClusterError if nobody may."""

    def refusals(self) -> list[str]:
        """A sentence for each worker that is not used."""


_CLOSING_S = 5.0


class LocalEngine:
    """A thread for each order, which watches its trainer; use it in a `with`."""

    def __init__(self, sweep: str, workers: int) -> None:
        self._sweep = sweep
        self.slots = workers
        self._messages: SimpleQueue[SweepReport | Ended] = SimpleQueue()
        self._threads: dict[int, Thread] = {}
        self._asked_to_stop: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Lets runs that go on be saved; a trainer that needs longer saves its run when we are gone."""
        self.stop(self._threads)
        deadline = time.monotonic() + _CLOSING_S
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def submit(self, order: Order, text: bytes) -> None:
        """Begins to train an order."""
        # A daemon: the process need not wait for it, see __exit__.
        thread = Thread(target=self._work, args=(order, text), name=f"run {order.index}", daemon=True)
        self._threads[order.index] = thread
        thread.start()

    def next_message(self, timeout: float) -> SweepReport | Ended | None:
        """What happens next; None if nothing does in time."""
        try:
            message = self._messages.get(timeout=timeout)
        except Empty:
            return None
        if isinstance(message, Ended):
            del self._threads[message.index]
        return message

    def stop(self, indices: Iterable[int]) -> None:
        """Asks for these runs to be saved and to end."""
        self._asked_to_stop.update(indices)

    def discard(self) -> None:
        """Clears away what the sweep has left in the cache folder."""
        work.discard(self._sweep)

    def check_workers(self) -> None:
        """This process is the only one, and has its own version."""

    def refusals(self) -> list[str]:
        """Nobody is refused."""
        return []

    def _work(self, order: Order, text: bytes) -> None:
        index = order.index
        reply = work.carry_out(order, text, "here", self._messages.put, lambda: index in self._asked_to_stop)
        self._messages.put(Ended(index, reply))
