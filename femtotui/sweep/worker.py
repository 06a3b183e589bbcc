"""One run of a sweep, on whichever machine: in a trainer process of its own, packed for the way back.

`carry_out` serves threads of this machine and, through the tasks at the end of this file, Dask workers.
"""

from __future__ import annotations

import hashlib
import io
import re
import secrets
import shutil
import time
import zipfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any

from femtotui.core.commands import Stop
from femtotui.core.errors import FemtoError, RunError
from femtotui.core.events import AnyEvent, EvalDone, RunStarted, StepDone
from femtotui.core.files import os_error_words, reraise_os_errors, write_atomically
from femtotui.core.run_folder.catalog import RunSummary, list_runs, summarise
from femtotui.core.run_folder.info import CHECKPOINT_NAME, RunFile, read_info, read_progress
from femtotui.core.run_folder.logs import read_scores, read_steps

from ..installation import cache_folder, versions_here
from ..runs.state import RunState, Status
from ..trainer.client import Trainer
from ..trainer.protocol import Continue, EventsArrived, Start, TrainerExited, TrainerMessage
from .messages import EndState, Order, Outcome, Reply, SweepReport, decode, encode
from .spec import ClusterError, SweepError

REPORT_SECONDS = 1.0
RELEASE_SECONDS = 30.0
"""How long a trainer whose worker died may take to save its run and release it."""

_POLL_SECONDS = 0.2

ReportCallback = Callable[[SweepReport], None]


def carry_out(
    order: Order, text: bytes, worker: str, report: ReportCallback, must_stop: Callable[[], bool]
) -> Reply:
    """Train a run to its end. Raises nothing: an exception would leave the coordinator without a reply."""
    try:
        folder = _scratch() / order.sweep / str(order.index)
        runner = TrialRunner(order, folder, worker, report, must_stop)
        outcome, run = runner.run(keep_text(text, _scratch() / "texts"))
        return Reply(outcome=outcome, archive=pack_run(run) if run else b"")
    except FemtoError as error:
        reason = f"{error.title}: {error}"
    except OSError as error:
        reason = f"on its worker: {os_error_words(error)}"
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    return Reply(outcome=Outcome(index=order.index, state="failed", worker=worker, reason=reason))


def discard(sweep: str) -> None:
    """Remove a sweep's files in the cache folder of this machine."""
    shutil.rmtree(_scratch() / sweep, ignore_errors=True)


def _scratch() -> Path:
    return cache_folder() / "sweeps"


_writing = Lock()  # the runs of one process, each on a thread, start at once with the same text


def keep_text(text: bytes, folder: Path) -> Path:
    """The file with `text`, written unless it is there already. Raises: ClusterError."""
    path = folder / f"{hashlib.sha256(text).hexdigest()}.text"
    with reraise_os_errors(ClusterError, f"keep the text in {folder}"), _writing:
        if not (path.exists() and path.read_bytes() == text):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text)
    return path


class TrialRunner:
    """Trains an order in `folder`, resuming the run of an earlier attempt if there is one."""

    def __init__(
        self, order: Order, folder: Path, worker: str, report: ReportCallback, must_stop: Callable[[], bool]
    ) -> None:
        self._order, self._folder, self._worker = order, folder, worker
        self._send, self._must_stop = report, must_stop
        self._state = RunState(order.config)
        self._due = 0.0

    def run(self, text: Path) -> tuple[Outcome, Path | None]:
        """Return the outcome, and the run's folder if there is one. Raises: FemtoError."""
        earlier = self._earlier_run()
        if earlier is None or not earlier.finished:
            self._train(earlier, str(text))
        run, index, state = self._run(), self._order.index, self._state
        if (failure := state.failure) is not None:
            reason, name = f"{failure.title}: {failure.message}", run.name if run else ""
            failed = Outcome(
                index=index, state="failed", worker=self._worker, step=state.step, reason=reason, run=name
            )
            return failed, run
        if run is None:
            raise ClusterError("the trainer ended before it made a run")
        was_stopped = state.status is Status.PARKED and not self._is_over_budget
        return read_outcome(index, run, self._worker, "stopped" if was_stopped else "finished"), run

    @property
    def _is_over_budget(self) -> bool:
        return self._order.seconds is not None and self._state.elapsed_s >= self._order.seconds

    def _run(self) -> Path | None:
        return next((run.path for run in list_runs(self._folder)), None)

    def _earlier_run(self) -> RunSummary | None:
        """The run of an earlier attempt, if it is finished or resumable; anything else is removed."""
        deadline, run = time.monotonic() + RELEASE_SECONDS, self._run()
        while run is not None and (found := summarise(run)).holder is not None:
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"process {found.holder.pid} still trains run {self._order.index + 1} here"
                )
            time.sleep(_POLL_SECONDS)
        if run is not None and (found.finished or found.can_continue):
            return found
        shutil.rmtree(self._folder, ignore_errors=True)
        return None

    def _train(self, earlier: RunSummary | None, text: str) -> None:
        """Report until the trainer exits; ask it to stop when the budget is used up, or on request."""
        messages: SimpleQueue[TrainerMessage] = SimpleQueue()
        start = Start(config=self._order.config, runs=str(self._folder), text=text)
        message: TrainerMessage | None = None
        stopping = False
        with closing(Trainer(messages.put)) as trainer:
            trainer.send(start if earlier is None else Continue(run=str(earlier.path), text=text))
            while not isinstance(message, TrainerExited):
                message = None
                with suppress(Empty):
                    message = messages.get(timeout=_POLL_SECONDS)
                if isinstance(message, EventsArrived):
                    for event in message.events:
                        self._fold(event)
                if not stopping and (self._must_stop() or self._is_over_budget):
                    stopping = True
                    trainer.send(Stop())
        self._state.trainer_lost(message.code, message.stderr)

    def _fold(self, event: AnyEvent) -> None:
        """Fold an event; report every start and evaluation, and steps about once per second."""
        state = self._state
        state.fold([event])
        is_due = isinstance(event, StepDone) and time.monotonic() >= self._due
        if not (is_due or isinstance(event, RunStarted | EvalDone)):
            return
        if is_due:
            self._due = time.monotonic() + REPORT_SECONDS
        eval_step, val_loss = state.evals[-1] if state.evals else (0, None)
        report = SweepReport(
            index=self._order.index,
            worker=self._worker,
            begins=isinstance(event, RunStarted),
            step=state.step,
            steps=self._order.config.train.steps,
            train_loss=float(state.losses[-1]) if len(state.losses) else None,
            val_loss=val_loss,
            eval_step=eval_step,
            score=state.score.score if state.score else None,
            unit=state.score.unit if state.score else "",
            elapsed_s=state.elapsed_s,
            ms=state.ms_per_step or 0.0,
        )
        self._send(report)


def read_outcome(index: int, run: Path, worker: str, state: EndState) -> Outcome:
    """The figures of a run at its newest checkpoint. Raises: RunError if nothing was saved."""
    progress = read_progress(run)
    if progress is None:
        raise RunError(f"{run} was never saved")
    scores = [score for score in read_scores(run) if score.step <= progress.step]
    last = scores[-1] if scores else None
    success_step = next((score.step for score in scores if score.verdict == "success"), None)
    until_success = [] if success_step is None else [s for s in read_steps(run) if s.step <= success_step]
    return Outcome(
        index=index,
        state=state,
        worker=worker,
        step=progress.step,
        train_loss=progress.train_loss,
        val_loss=progress.val_loss,
        score=last.score if last else None,
        unit=last.unit if last else "",
        success_step=success_step,
        success_s=until_success[-1].elapsed_s if until_success else None,
        elapsed_s=progress.elapsed_s,
        run=run.name,
    )


# -- the archive of a run ----------------------------------------------------------------------------------

_STAYING = {RunFile.TITLE, RunFile.LOCK, RunFile.TRAINER_ADDRESS, RunFile.TRAINER_SOCKET, RunFile.CHECKPOINTS}
_FILES = re.compile(
    "|".join(re.escape(name) for name in RunFile if name not in _STAYING)
    + f"|{RunFile.CHECKPOINTS}/{CHECKPOINT_NAME.pattern}"
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,120}")
_MAX_BYTES = 8 * 2**30


def pack_run(run: Path) -> bytes:
    """Pack the files of a run. Raises: OSError."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(run.rglob("*")):
            name = path.relative_to(run).as_posix()
            if _FILES.fullmatch(name):
                archive.write(path, name)
    return buffer.getvalue()


def unpack_run(data: bytes, runs: Path, name: str) -> Path:
    """Unpack a run, whole or not at all, as `runs`/`name` (with a suffix, if that exists).

    Raises: SweepError if it is no run folder, or cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise SweepError(f"a run of the name {name[:80]!r} cannot be kept")
    arriving = runs / f".{secrets.token_hex(6)}.arriving"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                if not _FILES.fullmatch(info.filename):
                    raise ValueError(f"it holds {info.filename[:80]!r}")
            if sum(info.file_size for info in archive.infolist()) > _MAX_BYTES:
                raise ValueError("it is too large")
            (arriving / RunFile.CHECKPOINTS).mkdir(parents=True)
            archive.extractall(arriving)
        read_info(arriving)
        run = runs / name
        if run.exists():
            run = runs / f"{name}-{secrets.token_hex(2)}"
        return arriving.rename(run)
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise SweepError(f"the archive of {name} is no run folder: {error}") from error
    except OSError as error:
        raise SweepError(f"cannot keep {name} in {runs}: {os_error_words(error)}") from error
    finally:
        shutil.rmtree(arriving, ignore_errors=True)


# -- tasks of a Dask worker --------------------------------------------------------------------------------

_stop_requests: set[tuple[str, int]] = set()


def topic_of(sweep: str) -> str:
    return f"femtotui-{sweep}"


def text_of(text: bytes) -> bytes:
    """A text, as a task: each worker fetches its result once, and it is computed again if it is lost."""
    return text


def worker_versions() -> str:
    return versions_here()


def ask_to_stop(sweep: str, indices: list[int]) -> None:
    """Have this worker save and end these runs."""
    _stop_requests.update((sweep, index) for index in indices)


def train_order(order_bytes: bytes, text: bytes) -> bytes:
    """Train an order and return a Reply; raises nothing that the order could have caused."""
    from distributed import get_worker  # noqa: PLC0415  (an extra, which workers have)

    worker: Any = get_worker()
    name = f"{worker.name}" if str(worker.name) == worker.address else f"{worker.name} {worker.address}"
    order = decode(order_bytes, Order)
    if versions_here() != order.versions:
        return encode(Reply())
    run = (order.sweep, order.index)
    _stop_requests.discard(run)

    def report(message: SweepReport) -> None:
        worker.log_event(topic_of(order.sweep), encode(message))

    return encode(carry_out(order, text, name, report, lambda: run in _stop_requests))
