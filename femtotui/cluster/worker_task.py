"""What runs on Dask's workers. Everything else of a sweep is where it was started."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from distributed import get_worker

from femtotui.core.errors import FemtoError
from femtotui.core.files import os_error_words

from ..paths import cache_folder
from ..versions import versions_here
from .archive import pack_run
from .attempt import Attempt
from .messages import Order, Outcome, Refusal, Reply, Report, decode, encode
from .text_store import keep_text

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
    shutil.rmtree(_scratch() / sweep, ignore_errors=True)


def train_trial(order_bytes: bytes, text: bytes) -> bytes:
    """Trains an order and gives back a Reply; raises nothing that the order could have caused."""
    worker: Any = get_worker()
    name = f"{worker.name}" if str(worker.name) == worker.address else f"{worker.name} {worker.address}"
    order = decode(order_bytes, Order)
    if (versions := versions_here()) != order.versions:
        return encode(Reply(refusal=Refusal(worker=name, versions=versions)))
    _asked_to_stop.discard((order.sweep, order.index))

    def report(message: Report) -> None:
        worker.log_event(topic_of(order.sweep), encode(message))

    try:
        outcome, folder = _train(order, text, name, report)
        return encode(Reply(outcome=outcome, archive=pack_run(folder) if folder else b""))
    except FemtoError as error:
        return encode(Reply(outcome=_failed(order, name, f"{error.title}: {error}")))
    except OSError as error:
        return encode(Reply(outcome=_failed(order, name, f"on its worker: {os_error_words(error)}")))


def _train(order: Order, text: bytes, name: str, report: Any) -> tuple[Outcome, Path | None]:
    place = _scratch() / order.sweep / str(order.index)
    stop = (order.sweep, order.index)
    attempt = Attempt(order, place, name, report, lambda: stop in _asked_to_stop)
    return attempt.run(keep_text(text, _scratch() / "texts"))


def _failed(order: Order, worker: str, reason: str) -> Outcome:
    return Outcome(index=order.index, state="failed", worker=worker, reason=reason)


def _scratch() -> Path:
    return cache_folder() / "sweeps"
