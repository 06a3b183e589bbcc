"""What a trainer process tells, and to whom: the app that started it, one that attached, or nobody."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, BinaryIO

from femtotui.core.commands import Steering, Stop
from femtotui.core.errors import RunError
from femtotui.core.events import CheckpointSaved, Event, Paused, Resumed, RunStarted, SavingFailed, StepDone
from femtotui.core.files import open_own
from femtotui.core.run_folder.info import RunFile

from .protocol import DetachedFrame, SnapshotFrame, events_frame, write_frame
from .remote import Door

if TYPE_CHECKING:
    from femtotui.core.training.training import Training

SECONDS_BETWEEN_BATCHES = 0.1
LOG_NAME = RunFile.TRAINER_LOG

_EVENTS_A_FRAME = 2000


class EventSender:
    """Sends events to the app: steps in batches, at most ten a second, everything else at once.

    When nobody reads any more it asks the training to save and stop, unless it was told to `detach`: then it
    falls silent, and takes up with whoever comes through the door. All of it in the training's thread.
    """

    def __init__(self, stream: BinaryIO, steering: SimpleQueue[Steering]) -> None:
        self._stream: BinaryIO | None = stream
        self._steering = steering
        self._waiting: list[Event] = []
        self._due = 0.0
        self._door: Door | None = None
        self._started: RunStarted | None = None
        self._saved: CheckpointSaved | None = None
        self._paused: Paused | None = None

    def report(self, event: Event) -> None:
        self._remember(event)
        self._waiting.append(event)
        if not isinstance(event, StepDone) or time.monotonic() >= self._due:
            waiting, self._waiting = self._waiting, []
            self._due = time.monotonic() + SECONDS_BETWEEN_BATCHES
            self._write(events_frame(waiting))

    def report_history(self, last_step: int) -> None:
        """Sends what the run folder says of the run up to `last_step`."""
        if self._started is None:
            return
        from femtotui.core.run_folder.logs import read_history  # noqa: PLC0415

        self._send_many(read_history(Path(self._started.run), last_step))

    def snapshot(self, training: Training) -> None:
        """Sends the parameters as they are now, after greeting whoever has just come."""
        self._greet_newcomers(training)
        parameters_P = training.parameters_P.astype("<f4", copy=False)
        self._write(SnapshotFrame(training.step, training.recent_loss, parameters_P.data.cast("B")))

    @property
    def is_awaited(self) -> bool:
        """Whether a newcomer waits to hear what happened."""
        return self._door is not None and not self._door.newcomers.empty()

    def detach(self, step: int) -> bool:
        """Lets the app go, and opens the door; False, having said why, if that cannot be done."""
        if self._started is None or self._door is not None:
            return self._door is not None
        run = Path(self._started.run)
        try:
            self._door = Door(run, self._steering)
        except RunError as error:
            self.report(SavingFailed(step=step, message=f"the app cannot leave: {error}"))
            return False
        self._write(DetachedFrame(os.getpid()))
        self._drop()
        _log_to(run / LOG_NAME)
        return True

    def close(self) -> None:
        """The end: nobody can attach any more."""
        if self._door is not None:
            self._door.close()
        self._drop()

    def _remember(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._started = event
            case CheckpointSaved():
                self._saved = event
            case Paused():
                self._paused = event
            case Resumed():
                self._paused = None
            case _:
                pass

    def _greet_newcomers(self, training: Training) -> None:
        if self._door is None:
            return
        with suppress(Empty):
            while True:
                newcomer = self._door.newcomers.get_nowait()
                self._drop()
                self._stream, self._waiting = newcomer, []
                self._send_past(training)

    def _send_past(self, training: Training) -> None:
        """All that a newcomer has missed, as the events it would have seen."""
        from femtotui.core.run_folder.logs import read_history  # noqa: PLC0415

        if self._started is None:
            return
        past = read_history(Path(self._started.run), training.step)
        ends = (event for event in (self._saved, self._paused) if event is not None)
        self._send_many(chain([self._started], past, ends))

    def _send_many(self, events: Iterator[Event]) -> None:
        while batch := list(islice(events, _EVENTS_A_FRAME)):
            self._write(events_frame(batch))

    def _write(self, frame: object) -> None:
        if self._stream is None:
            return
        try:
            write_frame(self._stream, frame)  # type: ignore[arg-type]
        except (OSError, ValueError):  # ValueError: closed by the door
            self._drop()
            if self._door is None:
                self._steering.put(Stop())

    def _drop(self) -> None:
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.close()
            self._stream = None


def _log_to(path: Path) -> None:
    """What is printed from here on goes to a file: the pipes end at an app that leaves."""
    with suppress(OSError):
        log = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
