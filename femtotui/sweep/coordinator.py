"""The coordinator of a sweep: hands out runs, collects reports and results, until every run has ended.

An engine carries the runs out. `LocalEngine` does so on this machine by trainer processes, each at the end of
its own pipes: no port and no socket, so nothing that another user of the machine could connect to.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Self

import msgspec

from femtotui.core.config import DataConfig
from femtotui.core.files import open_own
from femtotui.core.training.workers import usable_cores
from femtotui.presets.sources import open_source

from ..installation import versions_here
from ..trainer.client import NEW_GROUP_FLAGS
from ..trainer.text_transfer import pack_text
from . import worker
from .messages import Order, Outcome, Reply, SweepReport, encode
from .spec import SweepSpec, SweepTrial, trials_of
from .sweep_folder import FORMAT, LOG_NAME, SweepFolder, SweepInfo

if TYPE_CHECKING:
    from .dask_engine import DaskEngine

_POLL_S = 0.5
_CLOSING_S = 5.0
_RUNGS = 3
"""Maximum number of rungs: with a factor of 3 the first is at 1/27 of the steps."""


class SweepNotice(msgspec.Struct, frozen=True):
    """A sentence for the user."""

    text: str


SweepEvent = SweepReport | Outcome | SweepNotice
StopRequests = Callable[[], set[int]]


def new_sweep(spec: SweepSpec, runs: Path, threads: int) -> SweepFolder:
    """Create a sweep whose settings are all known to be valid. Raises: FemtoError."""
    trials = trials_of(spec, threads)
    created = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    info = SweepInfo(format=FORMAT, created=created, versions=versions_here(), spec=spec, trials=trials)
    return SweepFolder.create(runs, info)


def local_shape(n_runs: int, workers: int | None, threads: int | None) -> tuple[int, int]:
    """Number of workers on this machine, and of threads for each of their runs.

    Runs beside each other never wait for one another, and threads of one run do: so a run per core, and more
    threads only where there are fewer runs than cores. Measured by tests/bench/sweeps.py --shapes.
    """
    cores = usable_cores()
    chosen = workers or max(1, min(cores // (threads or 1), n_runs))
    return chosen, threads or max(1, cores // chosen)


def start_coordinator(folder: SweepFolder, *options: str) -> subprocess.Popen[bytes]:
    """Start a process that resumes the sweep and outlives this one; its output goes to a log."""
    command = [sys.executable, "-P", "-m", "femtotui", "sweep", "--resume", folder.name]
    with open(folder.path / LOG_NAME, "ab", opener=open_own) as log:
        return subprocess.Popen(
            [*command, "--runs", str(folder.runs), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            creationflags=NEW_GROUP_FLAGS,
        )


@dataclass(frozen=True)
class OrderEnded:
    index: int
    reply: Reply


class LocalEngine:
    """A thread per order, which watches its trainer; use it in a `with`. The same methods as DaskEngine."""

    def __init__(self, sweep: str, workers: int) -> None:
        self._sweep = sweep
        self.slots = workers
        self._messages: SimpleQueue[SweepReport | OrderEnded] = SimpleQueue()
        self._threads: dict[int, Thread] = {}
        self._stop_requests: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Have unfinished runs saved; a trainer that needs longer saves its run after this process ended."""
        self.stop(self._threads)
        deadline = time.monotonic() + _CLOSING_S
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def submit(self, order: Order, text: bytes) -> None:
        # A daemon: the process need not wait for it, see __exit__.
        thread = Thread(target=self._work, args=(order, text), name=f"run {order.index}", daemon=True)
        self._threads[order.index] = thread
        thread.start()

    def _work(self, order: Order, text: bytes) -> None:
        def must_stop() -> bool:
            return order.index in self._stop_requests

        reply = worker.carry_out(order, text, "here", self._messages.put, must_stop)
        self._messages.put(OrderEnded(order.index, reply))

    def next_message(self, timeout: float) -> SweepReport | OrderEnded | None:
        with suppress(Empty):
            message = self._messages.get(timeout=timeout)
            if isinstance(message, OrderEnded):
                del self._threads[message.index]
            return message
        return None

    def stop(self, indices: Iterable[int]) -> None:
        self._stop_requests.update(indices)

    def discard(self) -> None:
        worker.discard(self._sweep)

    def check_workers(self) -> None:
        """This process is the only worker, of its own version."""

    def refusals(self) -> list[str]:
        return []


class Halving:
    """Early stopping by successive halving, asynchronous, so that no run waits for the slowest.

    A run that reaches a rung continues only if its validation loss is among the best 1/factor of those that
    have reached that rung so far.

    Source: Li and others, "A System for Massively Parallel Hyperparameter Tuning" (2020), with the stopping
    rule of Ray Tune's ASHA; after Jamieson and Talwalkar, "Non-stochastic Best Arm Identification" (2016).
    """

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._losses: dict[int, dict[int, float]] = {}

    def must_stop(self, index: int, steps: int, eval_step: int, val_loss: float) -> bool:
        """Whether run `index`, of `steps` steps, evaluated at `eval_step`, should be stopped."""
        stops = False
        for rung in range(1, _RUNGS + 1):
            losses = self._losses.setdefault(rung, {})
            if eval_step < steps / self._factor**rung or index in losses:
                continue
            losses[index] = val_loss
            kept = max(1, len(losses) // self._factor)
            stops = stops or val_loss > sorted(losses.values())[kept - 1]
        return stops and eval_step < steps


class Sweep:
    """The runs of `folder` that are missing, carried out by `engine`.

    `stop_requests` returns the runs that a watcher has asked to stop since its last call.
    """

    def __init__(
        self, folder: SweepFolder, engine: LocalEngine | DaskEngine, stop_requests: StopRequests = set
    ) -> None:
        self.folder, self._engine, self._stop_requests = folder, engine, stop_requests
        self._waiting = deque(folder.missing())
        self._running: dict[int, SweepTrial] = {}
        self._texts: dict[tuple[DataConfig, int], bytes] = {}
        self._workers: dict[int, str] = {}
        self._notes: dict[int, str] = {}
        spec = folder.info.spec
        self._halving = Halving(spec.halving) if spec.halving else None

    def run(self) -> Iterator[SweepEvent]:
        """Yield every event to the end. Raises: ClusterError if the scheduler is lost; SweepError."""
        yield from map(SweepNotice, self._engine.refusals())
        while self._waiting or self._running:
            yield from self._stop(self._stop_requests())
            self._hand_out()
            message = self._engine.next_message(_POLL_S)
            if isinstance(message, SweepReport) and message.index in self._running:
                self._note(message)
                yield message
            elif isinstance(message, OrderEnded):
                yield from self._collect(message)
        self._engine.discard()

    def _stop(self, indices: set[int]) -> Iterator[SweepEvent]:
        """Stop these runs where they are; waiting ones never begin."""
        if running := indices & self._running.keys():
            self._notes.update(dict.fromkeys(running, "stopped on request"))
            self._engine.stop(running)
        for trial in [trial for trial in self._waiting if trial.index in indices]:
            self._waiting.remove(trial)
            outcome = Outcome(index=trial.index, state="stopped", note="stopped before it began")
            self.folder.add(outcome)
            yield outcome

    def _hand_out(self) -> None:
        slots = self._engine.slots if self._waiting else 0
        while self._waiting and len(self._running) < slots:
            trial = self._waiting.popleft()
            self._running[trial.index] = trial
            config, index, seconds = trial.config, trial.index, self.folder.info.spec.seconds
            key = (config.data, config.train.seed)
            if key not in self._texts:
                self._texts[key] = encode(pack_text(open_source(*key), config.data))
            order = Order(
                sweep=self.folder.name, index=index, config=config, versions=versions_here(), seconds=seconds
            )
            self._engine.submit(order, self._texts[key])

    def _note(self, report: SweepReport) -> None:
        """Note where and how a run began; stop it if halving says so."""
        index = report.index
        if report.begins:
            before = self._workers.get(index)
            self._workers[index] = report.worker
            how = f"continued from step {report.step:,}" if report.step else "restarted from the beginning"
            if before is not None:
                self._notes[index] = f"worker {before} was lost; {how} on {report.worker}"
            elif report.step:
                self._notes[index] = how
        elif self._halving is not None and report.val_loss is not None:
            step = report.eval_step
            if self._halving.must_stop(index, report.steps, step, report.val_loss):
                self._notes[index] = f"stopped by successive halving at step {step:,}"
                self._engine.stop([index])

    def _collect(self, ended: OrderEnded) -> Iterator[SweepEvent]:
        """Save what an order brought; one that was refused waits for another worker."""
        index, reply = ended.index, ended.reply
        trial = self._running.pop(index)
        if reply.outcome is None:
            self._engine.check_workers()  # one that came later, and has another version
            self._waiting.appendleft(trial)
            yield from map(SweepNotice, self._engine.refusals())
            return
        run = ""
        if reply.archive:
            run = str(worker.unpack_run(reply.archive, self.folder.runs, reply.outcome.run))
        name, note = reply.outcome.worker or self._workers.get(index, ""), self._notes.get(index, "")
        outcome = msgspec.structs.replace(reply.outcome, index=index, worker=name, note=note, run=run)
        self.folder.add(outcome)
        yield outcome
