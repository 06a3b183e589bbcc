"""The engine of sweeps: dask.distributed, on this machine's cores or on a cluster that is there already."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

from distributed import Client, Future, LocalCluster
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker

from ..paths import cache_folder
from ..versions import versions_here
from . import worker_task
from .errors import ClusterError
from .messages import Order, Reply, Report, decode, encode

PATIENCE_S = 10.0
"""How long a scheduler may take to answer, and to have a worker."""

_GONE_AFTER_S = 2.0
_CLOSING_S = 5.0


@dataclass(frozen=True)
class Ended:
    """An order is done with: `reply` is what its worker says, or `reason` why there is none."""

    index: int
    reply: Reply | None
    reason: str = ""


class DaskEngine:
    """Workers that take orders; use it in a `with`. `slots` are how many orders they work on at a time."""

    def __init__(self, sweep: str, scheduler: str | None, workers: int) -> None:
        self._sweep = sweep
        self._scheduler = scheduler
        self._n_workers = workers
        self._messages: SimpleQueue[Report | Future] = SimpleQueue()
        self._futures: dict[Future, int] = {}
        self._texts: dict[bytes, Future] = {}
        self._usable: list[str] = []
        self._lost_since: float | None = None
        self._attempts = 0
        self.refused: dict[str, str] = {}
        """Workers of other versions, by address."""

    def __enter__(self) -> Self:
        """Raises: ClusterError if there is no scheduler, or no worker of this version."""
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is said by us
        self._cluster: Any = None
        if self._scheduler is None:
            with _ctrl_c_ignored():
                self._cluster = _local_cluster(self._n_workers)
        try:
            self._client: Any = Client(self._cluster or self._scheduler, timeout=PATIENCE_S)
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(f"there is no Dask scheduler at {self._scheduler}: {error}") from error
        try:
            self._client.wait_for_workers(1, timeout=PATIENCE_S)
            self.check_workers()
        except TimeoutError as error:
            self._close()
            raise ClusterError(
                f"the scheduler has no workers: start some, `dask worker {self._scheduler}`"
            ) from error
        except BaseException:
            self._close()
            raise
        self._client.subscribe_topic(worker_task.topic_of(self._sweep), self._hear)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._futures and self._lost_since is None:
            with suppress(Exception):  # the cluster may be what failed
                self.stop(self._futures.values())
        self._close()

    @property
    def slots(self) -> int:
        """Of the workers that may be used, as many of them as there are now."""
        threads: dict[str, int] = self._ask(self._client.nthreads)
        return max(1, sum(n for address, n in threads.items() if address not in self.refused))

    def check_workers(self) -> None:
        """Finds out who may be used. Raises: ClusterError, with both versions, if nobody may."""
        here = versions_here()
        found = self._ask(self._client.run, worker_task.worker_versions, on_error="return")
        theirs = {a: v if isinstance(v, str) else f"no femtotui ({v})" for a, v in found.items()}
        self._usable = [address for address, versions in theirs.items() if versions == here]
        self.refused = {address: versions for address, versions in theirs.items() if versions != here}
        if not self._usable:
            raise ClusterError(self.refusals()[0])

    def refusals(self) -> list[str]:
        """A sentence for each worker that is not used."""
        here = versions_here()
        return [
            f"worker {address} has {versions}, but here is {here}: it gets no runs until it has the same"
            for address, versions in self.refused.items()
        ]

    def submit(self, order: Order, text: bytes) -> None:
        """Gives an order to whichever worker is free; it moves to another if that one dies."""
        self._attempts += 1
        future = self._client.submit(
            worker_task.train_trial,
            encode(order),
            self._text(text),
            key=f"{self._sweep}-{order.index}-{self._attempts}",
            pure=False,
            # Only where there is somebody to keep out: workers that come later are welcome. Should those that
            # may be used be gone, one of another version says so itself, and they are looked at again.
            **({"workers": self._usable, "allow_other_workers": True} if self.refused else {}),
        )
        self._futures[future] = order.index
        future.add_done_callback(self._messages.put)

    def _text(self, text: bytes) -> Future:
        """The text on the cluster: it travels to each worker once."""
        if text not in self._texts:
            self._texts[text] = self._client.submit(worker_task.text_of, text)
        return self._texts[text]

    def next_message(self, timeout: float) -> Report | Ended | None:
        """What a worker says next; None if nothing comes in time. Raises: ClusterError."""
        try:
            message = self._messages.get(timeout=timeout)
        except Empty:
            self._require_scheduler()
            return None
        if isinstance(message, Report):
            return message
        return self._ended(message)

    def stop(self, indices: Iterable[int]) -> None:
        """Asks for these runs to be saved and to end."""
        self._ask(self._client.run, worker_task.ask_to_stop, self._sweep, list(indices), on_error="ignore")

    def discard(self) -> None:
        """Clears away what the sweep has left with the workers."""
        self._ask(self._client.run, worker_task.discard, self._sweep, on_error="ignore")

    def _ask(self, call: Callable[..., Any], *arguments: object, **options: object) -> Any:
        """Something of the scheduler's. Raises: ClusterError if it is gone."""
        try:
            return call(*arguments, **options)
        except (OSError, TimeoutError) as error:
            raise self._scheduler_is_gone() from error

    # -- what happens ------------------------------------------------------------------------------------

    def _hear(self, event: tuple[float, Any]) -> None:
        with suppress(ClusterError):  # somebody else's, on our topic
            self._messages.put(decode(event[1], Report))

    def _ended(self, future: Future) -> Ended:
        index = self._futures[future]
        try:
            data = future.result(timeout=PATIENCE_S)
        except KilledWorker as error:
            reason = f"every worker that tried it died, the last one {error.last_worker.address}"
            ended = Ended(index, None, f"{reason}: it may need more memory than there is")
        except (FutureCancelledError, OSError, TimeoutError) as error:
            raise self._scheduler_is_gone() from error
        except Exception as error:  # whatever was raised over there
            ended = Ended(index, None, f"{type(error).__name__}: {error}")
        else:
            ended = Ended(index, decode(data, Reply))
        del self._futures[future]
        return ended

    def _require_scheduler(self) -> None:
        if self._client.status == "running":
            self._lost_since = None
            return
        self._lost_since = self._lost_since or time.monotonic()
        if time.monotonic() - self._lost_since > _GONE_AFTER_S:
            raise self._scheduler_is_gone()

    def _scheduler_is_gone(self) -> ClusterError:
        self._lost_since = self._lost_since or time.monotonic()
        return ClusterError(f"the scheduler at {self._scheduler or 'this machine'} is gone")

    def _close(self) -> None:
        with suppress(Exception):  # it may be gone already
            self._client.close(timeout=_CLOSING_S if self._lost_since is None else 0.1)
        if self._cluster is not None:
            with suppress(Exception):
                self._cluster.close(timeout=_CLOSING_S)


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Processes that are started inside ignore Ctrl+C from their first moment; see worker_signals."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _local_cluster(workers: int) -> Any:
    """Workers on this machine, a process and one order at a time each, out of reach from elsewhere."""
    scratch = cache_folder() / "dask"
    scratch.mkdir(parents=True, exist_ok=True)
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        local_directory=str(scratch),
        silence_logs=logging.CRITICAL,
        preload="femtotui.cluster.worker_signals",
    )
