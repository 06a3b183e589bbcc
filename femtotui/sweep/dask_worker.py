"""What runs on Dask's workers. Everything else of a sweep is where it was started."""

from __future__ import annotations

from typing import Any

from distributed import get_worker

from ..packages import versions_here
from . import work
from .messages import Order, Refusal, Reply, SweepReport, decode, encode

_asked_to_stop: set[tuple[str, int]] = set()


def topic_of(sweep: str) -> str:
    """Where the reports of a sweep go."""
    return f"femtotui-{sweep}"


def text_of(text: bytes) -> bytes:
    """A text, as a task: its result is fetched once by each worker, and made again if it is lost."""
    return text


def worker_versions() -> str:
    """What a worker trains with."""
    return versions_here()


def ask_to_stop(sweep: str, indices: list[int]) -> None:
    """Runs of a sweep that are being trained by this worker are saved and end."""
    _asked_to_stop.update((sweep, index) for index in indices)


def discard(sweep: str) -> None:
    """Clears away what a sweep that is home has left on this worker's disk."""
    work.discard(sweep)


def train_trial(order_bytes: bytes, text: bytes) -> bytes:
    """Trains an order and gives back a Reply; raises nothing that the order could have caused."""
    worker: Any = get_worker()
    name = f"{worker.name}" if str(worker.name) == worker.address else f"{worker.name} {worker.address}"
    order = decode(order_bytes, Order)
    if (versions := versions_here()) != order.versions:
        return encode(Reply(refusal=Refusal(worker=name, versions=versions)))
    run = (order.sweep, order.index)
    _asked_to_stop.discard(run)

    def report(message: SweepReport) -> None:
        worker.log_event(topic_of(order.sweep), encode(message))

    return encode(work.carry_out(order, text, name, report, lambda: run in _asked_to_stop))
