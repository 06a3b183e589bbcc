"""One run on a worker: a trainer process of its own, watched, from where an earlier attempt left it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec

from femtotui.core.commands import Stop
from femtotui.core.events import AnyEvent, EvalDone, RunFailed, RunFinished, RunStarted, ScoreDone, StepDone
from femtotui.core.run_folder.catalog import RunSummary, list_runs, summarise

from ..trainer.client import Trainer
from ..trainer.protocol import Continue, EventsArrived, Start, TrainerExited, TrainerMessage
from .messages import Order, Outcome, SweepReport
from .spec import ClusterError
from .sweep_folder import read_outcome

REPORT_SECONDS = 1.0
LET_GO_SECONDS = 30.0
"""How long a trainer whose worker died may take to save its run and let go of it."""

_LOOK_UP_SECONDS = 0.2


class Attempt:
    """Trains an order to its end, in the folder `place`, where an earlier attempt may have left a run."""

    def __init__(
        self,
        order: Order,
        place: Path,
        worker: str,
        report: Callable[[SweepReport], None],
        is_asked_to_stop: Callable[[], bool],
    ) -> None:
        self._order = order
        self._place = place
        self._send = report
        self._is_asked_to_stop = is_asked_to_stop
        self._report = SweepReport(
            index=order.index, worker=worker, begins=True, step=0, steps=order.config.train.steps
        )
        self._due = 0.0
        self._finished: RunFinished | None = None
        self._failure = ""
        self._stopping = False

    def run(self, text: Path) -> tuple[Outcome, Path | None]:
        """What became of it, and its folder, if it got one. Raises: FemtoError."""
        left = self._left_by_another()
        if left is None or not left.finished:
            self._train(left, str(text))
        folder = self._folder()
        worker, index = self._report.worker, self._order.index
        if self._failure:
            name = folder.name if folder else ""
            reason, step = self._failure, self._report.step
            failed = Outcome(index=index, state="failed", worker=worker, step=step, reason=reason, run=name)
            return failed, folder
        if folder is None:
            raise ClusterError("the trainer ended before it made a run")
        return read_outcome(index, folder, worker, "stopped" if self._was_stopped else "finished"), folder

    @property
    def _was_stopped(self) -> bool:
        """Whether it ended before its budget was used up."""
        if self._finished is None or self._finished.reason == "finished":
            return False
        seconds = self._order.seconds
        return seconds is None or self._finished.elapsed_s < seconds

    # -- what there is already --------------------------------------------------------------------------

    def _left_by_another(self) -> RunSummary | None:
        """The run of an earlier attempt that can be gone on with; all else is cleared away."""
        folder = self._folder()
        left = None if folder is None else self._once_let_go(folder)
        if left is not None and (left.finished or left.can_continue):
            return left
        shutil.rmtree(self._place, ignore_errors=True)
        return None

    def _folder(self) -> Path | None:
        runs = list_runs(self._place)
        return runs[0].path if runs else None

    def _once_let_go(self, folder: Path) -> RunSummary:
        deadline = time.monotonic() + LET_GO_SECONDS
        while (left := summarise(folder)).holder is not None:
            if time.monotonic() > deadline:
                raise ClusterError(f"process {left.holder.pid} still trains run {self._order.index + 1} here")
            time.sleep(_LOOK_UP_SECONDS)
        return left

    # -- training ---------------------------------------------------------------------------------------

    def _train(self, left: RunSummary | None, text: str) -> None:
        messages: SimpleQueue[TrainerMessage] = SimpleQueue()
        trainer = Trainer(messages.put)
        try:
            if left is None:
                trainer.send(Start(config=self._order.config, runs=str(self._place), text=text))
            else:
                trainer.send(Continue(run=str(left.path), text=text))
            self._watch(trainer, messages)
        finally:
            trainer.close()

    def _watch(self, trainer: Trainer, messages: SimpleQueue[TrainerMessage]) -> None:
        while True:
            try:
                message = messages.get(timeout=_LOOK_UP_SECONDS)
            except Empty:
                message = None
            if isinstance(message, EventsArrived):
                for event in message.events:
                    self._note(event)
            elif isinstance(message, TrainerExited):
                self._conclude(message)
                return
            if not self._stopping and (self._is_asked_to_stop() or self._is_over_budget):
                self._stopping = True
                trainer.send(Stop())

    @property
    def _is_over_budget(self) -> bool:
        return self._order.seconds is not None and self._report.elapsed_s >= self._order.seconds

    def _conclude(self, exited: TrainerExited) -> None:
        if self._finished is None and not self._failure:
            last = (exited.stderr.strip().splitlines() or ["it said nothing"])[-1]
            self._failure = f"its trainer ended with code {exited.code}: {last}"

    def _note(self, event: AnyEvent) -> None:
        changed = msgspec.structs.replace
        match event:
            case RunStarted():
                self._report = changed(self._report, step=event.step, elapsed_s=event.elapsed_s)
                self._send(self._report)
                self._report = changed(self._report, begins=False)
            case StepDone():
                self._report = changed(
                    self._report, step=event.step, loss=event.loss, elapsed_s=event.elapsed_s, ms=event.ms
                )
                self._send_now_and_then()
            case EvalDone():
                self._report = changed(
                    self._report, eval_step=event.step, val_loss=event.val_loss, elapsed_s=event.elapsed_s
                )
                self._send(self._report)
            case ScoreDone():
                self._report = changed(self._report, score=event.score, unit=event.unit)
            case RunFinished():
                self._finished = event
            case RunFailed():
                self._failure = f"{event.title}: {event.message}"
            case _:
                pass

    def _send_now_and_then(self) -> None:
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + REPORT_SECONDS
            self._send(self._report)
