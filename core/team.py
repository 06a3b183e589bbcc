"""A few threads that do one thing together, again and again, for as long as a training lasts.

NumPy lets go of the interpreter while it computes, so threads work side by side. Whoever calls is the first
of the team; the others wait for work on a queue. What a thread raises is raised where the work was given.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

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
