"""The engine of sweeps on other machines: dask.distributed, on a cluster that exists already."""

from __future__ import annotations

import builtins
import hashlib
import logging
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, Self

from distributed import Client, Future
from distributed.client import FutureCancelledError
from distributed.security import Security

from ..installation import versions_here
from . import worker
from .coordinator import OrderEnded
from .messages import MAX_REPORT_BYTES, Order, Outcome, Reply, SweepReport, decode, encode
from .spec import ClusterError

PATIENCE_S = 10.0
"""How long a scheduler may take to answer, and to have a worker."""

_GONE_AFTER_S = 2.0
_CLOSING_S = 5.0


class DaskEngine:
    """Carries out orders on Dask workers; use it in a `with`."""

    def __init__(self, sweep: str, scheduler: str) -> None:
        self._sweep, self._scheduler = sweep, scheduler
        self._messages: SimpleQueue[SweepReport | Future] = SimpleQueue()
        self._futures: dict[Future, int] = {}
        self._texts: dict[bytes, Future] = {}
        self._usable: list[str] = []
        self._lost_since: float | None = None
        self._attempts = 0
        self.refused: dict[str, str] = {}
        """Workers of other versions, by address."""

    def __enter__(self) -> Self:
        """Raises: ClusterError if there is no scheduler, or no worker of this version."""
        logging.disable()  # only Dask writes logs here; errors that matter are raised
        refuse_pickles()
        security = _tls() if self._scheduler.startswith("tls://") else None
        try:
            self._client: Any = Client(self._scheduler, timeout=PATIENCE_S, security=security)
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(f"there is no Dask scheduler at {self._scheduler}: {error}") from error
        try:
            self._client.wait_for_workers(1, timeout=PATIENCE_S)
            self.check_workers()
        except BaseException as error:
            self._close()
            if not isinstance(error, TimeoutError):
                raise
            raise ClusterError(
                f"the scheduler has no workers: start some, `dask worker {self._scheduler}`"
            ) from error
        for topic in ("print", "warn"):  # Dask writes what workers say there straight to our own output
            with suppress(ValueError):
                self._client.unsubscribe_topic(topic)
        self._client.subscribe_topic(worker.topic_of(self._sweep), self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        if self._futures and self._lost_since is None:
            with suppress(Exception):  # the cluster may be what failed
                self.stop(self._futures.values())
        self._close()

    @property
    def slots(self) -> int:
        """Threads of the workers that are connected now and may be used."""
        threads: dict[str, int] = self._call(self._client.nthreads)
        return max(1, sum(n for address, n in threads.items() if address not in self.refused))

    def check_workers(self) -> None:
        """Find the workers of this version. Raises: ClusterError, with both versions, if there are none."""
        here = versions_here()
        theirs = {address: self._versions(address) for address in self._call(self._client.nthreads)}
        self._usable = [address for address, versions in theirs.items() if versions == here]
        self.refused = {address: versions for address, versions in theirs.items() if versions != here}
        if not self._usable:
            raise ClusterError(self.refusals()[0])

    def _versions(self, address: str) -> str:
        """One worker's versions. One at a time: an error in one would hide the others' answers."""
        try:
            found = self._call(self._client.run, worker.worker_versions, workers=[address])[address]
        except ClusterError:
            raise
        except Exception:  # raised on the worker: most likely that there is no such module
            return "no femtotui that answers"
        return found if isinstance(found, str) else "no femtotui that answers"

    def refusals(self) -> list[str]:
        """A sentence for each worker that is not used."""
        here = versions_here()
        return [
            f"worker {address} has {versions}, but here is {here}: it gets no runs until it has the same"
            for address, versions in self.refused.items()
        ]

    def submit(self, order: Order, text: bytes) -> None:
        """Give an order to a free worker; it moves to another if that one dies."""
        self._attempts += 1
        future = self._client.submit(
            worker.train_order,
            encode(order),
            self._text(text),
            key=f"{self._sweep}-{order.index}-{self._attempts}",
            pure=False,
            # Only if a worker is refused: workers that come later may be used, too. If all of these are gone,
            # one of another version refuses the order itself, and all are checked again.
            **({"workers": self._usable, "allow_other_workers": True} if self.refused else {}),
        )
        self._futures[future] = order.index
        future.add_done_callback(self._messages.put)

    def _text(self, text: bytes) -> Future:
        """The text as a task of the cluster: each worker fetches it once."""
        if text not in self._texts:
            # The key is given: to make one, Dask would pickle the text and unpickle it again.
            key = f"{self._sweep}-text-{hashlib.sha256(text).hexdigest()}"
            self._texts[text] = self._client.submit(worker.text_of, text, key=key)
        return self._texts[text]

    def next_message(self, timeout: float) -> SweepReport | OrderEnded | None:
        """Return the next message; None if none comes in time. Raises: ClusterError."""
        require_no_refusal()
        try:
            message = self._messages.get(timeout=timeout)
        except Empty:
            self._require_scheduler()
            return None
        if isinstance(message, SweepReport):
            return message
        return self._ended(message)

    def stop(self, indices: Iterable[int]) -> None:
        """Ask for these runs to be saved and ended."""
        self._run_on_all(worker.ask_to_stop, self._sweep, list(indices))

    def discard(self) -> None:
        self._run_on_all(worker.discard, self._sweep)

    def _run_on_all(self, function: Callable[..., None], *arguments: object) -> None:
        """Run a function on all workers; errors on them are ignored. Raises: ClusterError."""
        with suppress(ErrorNotReadError):
            self._call(self._client.run, function, *arguments, on_error="ignore")

    def _call(self, call: Callable[..., Any], *arguments: object, **options: object) -> Any:
        """Call a function of the client. Raises: ClusterError if the scheduler is gone."""
        try:
            return call(*arguments, **options)
        except (OSError, TimeoutError) as error:
            raise self._scheduler_is_gone() from error

    def _receive(self, event: tuple[float, Any]) -> None:
        with suppress(ClusterError):  # from another sender on this topic
            self._messages.put(decode(event[1], SweepReport, MAX_REPORT_BYTES))

    def _ended(self, future: Future) -> OrderEnded:
        index = self._futures[future]
        try:
            reply = decode(future.result(timeout=PATIENCE_S), Reply)
        except (FutureCancelledError, OSError, TimeoutError) as error:
            raise self._scheduler_is_gone() from error
        except Exception as error:  # in the reply, or raised on the worker
            reason = str(error) if isinstance(error, ClusterError) else _words(error)
            reply = Reply(outcome=Outcome(index=index, state="failed", reason=reason))
        require_no_refusal()
        del self._futures[future]
        return OrderEnded(index, reply)

    def _require_scheduler(self) -> None:
        if self._client.status == "running":
            self._lost_since = None
            return
        self._lost_since = self._lost_since or time.monotonic()
        if time.monotonic() - self._lost_since > _GONE_AFTER_S:
            raise self._scheduler_is_gone()

    def _scheduler_is_gone(self) -> ClusterError:
        self._lost_since = self._lost_since or time.monotonic()
        return ClusterError(f"the scheduler at {self._scheduler} is gone")

    def _close(self) -> None:
        with suppress(Exception):  # it may be gone already
            self._client.close(timeout=_CLOSING_S if self._lost_since is None else 0.1)


def _words(error: Exception) -> str:
    """The reason of a worker's exception, as far as it could be read: exceptions are sent as pickles."""
    pickle = next((part for part in error.args if isinstance(part, bytes)), None)
    if pickle is None:
        return f"{type(error).__name__}: {error}"
    if b"KilledWorker" in pickle:
        return "every worker that tried it died: it may need more memory than there is"
    return "an error that is in its worker's own log"


def _tls() -> Any:
    """The certificates that Dask's own configuration names. Raises: ClusterError if it names none."""
    security = Security(require_encryption=True)
    if not (security.tls_ca_file and security.tls_client_cert):
        raise ClusterError(
            "tls:// needs certificates: name their files in DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY"
        )
    return security


# -- refusal of pickles that could run code ----------------------------------------------------------------

# Dask's client unpickles what scheduler and workers send it: types, exceptions, tracebacks, warnings, and any
# part of any message whose sender marked it so. Its `deserializers` cover only some of these. But whatever a
# pickle is to run, it has to look up by name first, and Python reports each look-up to audit hooks.

_HARMLESS = {
    ("builtins", "bytes"),  # the type of our own messages
    ("distributed.comm.core", "CommClosedError"),
}
_UNREAD = ("tblib.pickling_support", "distributed.scheduler")
"""First in pickles of exceptions with tracebacks, and of KilledWorker: not read either, but not hostile."""

_refused: list[str] = []


class ErrorNotReadError(TypeError):
    """An exception that was raised elsewhere; a TypeError, as Dask expects of what it cannot read."""


class PickleRefusedError(ClusterError, TypeError):
    """A pickle that names something that could run; no worker of femtotui sends one."""


@cache  # audit hooks cannot be removed: one is enough
def refuse_pickles() -> None:
    """From now on this process unpickles plain data and Python's own exceptions, and nothing else."""
    sys.addaudithook(_hook)


def require_no_refusal() -> None:
    """Raises: PickleRefusedError if a pickle was refused, on whichever thread."""
    if _refused:
        raise PickleRefusedError(_refused[0])


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "pickle.find_class":
        return
    module, name = str(arguments[0]), str(arguments[1])
    found = getattr(builtins, name, None) if module == "builtins" else None
    if (module, name) in _HARMLESS or (isinstance(found, type) and issubclass(found, Exception)):
        return
    if module in _UNREAD:
        raise ErrorNotReadError(f"an exception that is not read here: {module[:80]}.{name[:80]}")
    words = (
        f"the scheduler or a worker sent a pickle that names {module[:80]}.{name[:80]}: "
        "nothing of it was run. Whoever sent it is not a worker of femtotui"
    )
    if not _refused:
        _refused.append(words)
    raise PickleRefusedError(words)
