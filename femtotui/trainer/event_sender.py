"""Sends a training's events to the app that started the process, to one that attached later, or to nobody."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from femtotui.core.commands import Snapshot, Steering, Stop
from femtotui.core.errors import RunError
from femtotui.core.events import CheckpointSaved, Event, Paused, Resumed, RunStarted, SavingFailed, StepDone
from femtotui.core.files import open_own
from femtotui.core.run_folder.info import RunFile

from .protocol import (
    Channel,
    EventsArrived,
    PipeChannel,
    ProtocolError,
    SnapshotArrived,
    TrainerDetached,
    TrainerMessage,
    send_frame,
)

if TYPE_CHECKING:
    from femtotui.core.training.training import Training

    from .remote import RemoteListener

SECONDS_BETWEEN_BATCHES = 0.1
"""Steps are sent at most this often. The only throttle on the trainer's side."""


_EVENTS_PER_MESSAGE = 2000


class EventSender:
    """Sends steps in batches, at most ten per second, and everything else at once.

    When nobody reads any more it asks the training to save and stop, unless the app was allowed to `detach`:
    then it sends nothing until another app attaches. `read_commands` reads that app's commands until its
    connection ends. All methods are called by the training's thread.
    """

    def __init__(
        self, channel: PipeChannel, steering: SimpleQueue[Steering], read_commands: Callable[[Channel], None]
    ) -> None:
        self._channel: Channel | None = channel
        self._steering = steering
        self._read_commands = read_commands
        self._waiting: list[Event] = []
        self._due = 0.0
        self._listener: RemoteListener | None = None
        self._attaching: SimpleQueue[Channel] = SimpleQueue()
        self._started: RunStarted | None = None
        self._current: dict[type[Event], Event] = {}  # the last checkpoint, and a pause while it lasts

    def report(self, event: Event) -> None:
        """Send an event, or keep a step for the next batch."""
        if isinstance(event, RunStarted):
            self._started = event
        elif isinstance(event, CheckpointSaved | Paused):
            self._current[type(event)] = event
        elif isinstance(event, Resumed):
            self._current.pop(Paused, None)
        self._waiting.append(event)
        if not isinstance(event, StepDone) or time.monotonic() >= self._due:
            waiting, self._waiting = self._waiting, []
            self._due = time.monotonic() + SECONDS_BETWEEN_BATCHES
            self._send_events(waiting)

    def report_history(self, last_step: int) -> None:
        """Send what the run folder holds of the run up to `last_step`."""
        if self._started is not None:
            from femtotui.core.run_folder.logs import read_history  # noqa: PLC0415

            self._send_events(read_history(Path(self._started.run), last_step))

    def snapshot(self, training: Training) -> None:
        """Send the parameters; to an app that has just attached, first the events it missed."""
        with suppress(Empty):
            while True:
                self._channel, self._waiting = self._attaching.get_nowait(), []
                self._send_events([self._started] if self._started else [])
                self.report_history(training.step)
                self._send_events(self._current.values())
        parameters_P = training.parameters_P.astype("<f4", copy=False)
        self._send(SnapshotArrived(training.step, training.recent_loss, parameters_P.data.cast("B")))

    @property
    def is_awaited(self) -> bool:
        """Whether an app has attached that has not received anything yet."""
        return not self._attaching.empty()

    def detach(self, step: int) -> bool:
        """Let the app go, and others attach; False, having said why, if that cannot be done."""
        if self._started is None:
            return False
        if self._listener is None:
            from .remote import RemoteListener  # noqa: PLC0415  (sockets are seldom needed)

            run = Path(self._started.run)
            try:
                self._listener = RemoteListener(run, self._serve)
            except RunError as error:
                self.report(SavingFailed(step=step, message=f"the app cannot detach: {error}"))
                return False
            _redirect_output(run / RunFile.TRAINER_LOG)
        self._send(TrainerDetached(os.getpid()))
        self._disconnect()
        return True

    def close(self) -> None:
        """End: no app can attach any more."""
        if self._listener is not None:
            self._listener.close()
        self._disconnect()

    def _serve(self, channel: Channel) -> None:
        """In the thread of a connection, to its end."""
        self._attaching.put(channel)
        self._steering.put(Snapshot())  # even a paused training answers that
        self._read_commands(channel)

    def _send_events(self, events: Iterable[Event]) -> None:
        remaining = iter(events)
        while batch := tuple(islice(remaining, _EVENTS_PER_MESSAGE)):
            self._send(EventsArrived(batch))  # type: ignore[arg-type]  # every Event is one of AnyEvent

    def _send(self, message: TrainerMessage) -> None:
        if self._channel is None:
            return
        try:
            send_frame(self._channel, message)
        except (OSError, ProtocolError):
            self._disconnect()
            if self._listener is None:
                self._steering.put(Stop())

    def _disconnect(self) -> None:
        if isinstance(self._channel, PipeChannel):
            self._channel.close()
        self._channel = None


def _redirect_output(path: Path) -> None:
    """Send what is printed from here on to a file: the pipes end at an app that leaves."""
    with suppress(OSError):
        log = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
