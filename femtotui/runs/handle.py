"""One run of this session: its trainer process, the messages that wait, its state and its last snapshot."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from femtotui.core.commands import Command
from femtotui.core.config import RunConfig

from ..trainer.protocol import (
    AttachRefused,
    EventsArrived,
    SnapshotArrived,
    TrainerDetached,
    TrainerExited,
    TrainerMessage,
)
from .state import RunState

SAVING_SECONDS = 20.0
"""The time in which a trainer must have saved its run; a checkpoint itself takes milliseconds."""

Listener = Callable[[TrainerMessage], None]


class TrainerLike(Protocol):
    """The interface of `femtotui.trainer.client.Trainer`, which tests replace."""

    def send(self, command: Command) -> None: ...
    def close(self, timeout: float = 5.0) -> None: ...
    def leave(self) -> None: ...


TrainerFactory = Callable[[Listener], TrainerLike]


class Connection:
    """A trainer process and a queue of its messages. Reader threads fill it, the app's thread drains it."""

    def __init__(self, factory: TrainerFactory, wake: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._waiting: list[TrainerMessage] = []
        self._wake = wake
        self._closing: threading.Thread | None = None
        self.trainer = factory(self._put)

    def _put(self, message: TrainerMessage) -> None:
        with self._lock:
            self._waiting.append(message)
        self._wake()

    def drain(self) -> list[TrainerMessage]:
        """All waiting messages, oldest first."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        return waiting

    def close(self) -> None:
        """Let the trainer save and end, in the background."""
        self._in_background(lambda: self.trainer.close(SAVING_SECONDS))

    def leave(self) -> None:
        """Disconnect from a trainer that continues without the app, in the background."""
        self._in_background(self.trainer.leave)

    def _in_background(self, end: Callable[[], None]) -> None:
        if self._closing is None:
            self._closing = threading.Thread(target=end, name="closing", daemon=True)
            self._closing.start()

    @property
    def closed(self) -> bool:
        return self._closing is not None and not self._closing.is_alive()

    def wait_closed(self) -> None:
        """Wait for `close` or `leave`, if one of them was called."""
        if self._closing is not None:
            self._closing.join()


@dataclass(frozen=True)
class Drained:
    """The result of reading a run's queue: whether there was a message, and the newest snapshot."""

    changed: bool = False
    snapshot: SnapshotArrived | None = None


class RunHandle:
    """A run of this session. `connection` is None while no trainer works on it.

    A run that is resumed gets a new connection; the one before may still be saving, and its last messages
    are read as well. `detached_pid` is the trainer's process once it continues without this app.
    """

    def __init__(self, config: RunConfig, state: RunState | None = None) -> None:
        self.config = config
        self.state = state if state is not None else RunState(config)
        self.connection: Connection | None = None
        self.snapshot: SnapshotArrived | None = None
        self.detached_pid: int | None = None
        self._connections: list[Connection] = []

    def connect(self, connection: Connection) -> None:
        """Make `connection` the run's trainer."""
        self.connection = connection
        self._connections.append(connection)

    def send(self, command: Command) -> bool:
        """Send a command to the trainer; False if there is none."""
        if self.connection is None:
            return False
        self.connection.trainer.send(command)
        return True

    def drain(self) -> Drained:
        """Fold all waiting messages into the state; say what was new from the present trainer."""
        changed, snapshot = False, None
        for connection in tuple(self._connections):
            is_over = connection.closed  # asked first: what it said before is in the queue then
            for message in connection.drain():
                if connection is self.connection:
                    changed = True
                    snapshot = message if isinstance(message, SnapshotArrived) else snapshot
                self._fold(connection, message)
            if is_over:
                self._connections.remove(connection)
        return Drained(changed, snapshot)

    def _fold(self, connection: Connection, message: TrainerMessage) -> None:
        match message:
            case EventsArrived(events=events):
                self.state.fold(events)
            case SnapshotArrived():
                self.snapshot = message
            case TrainerDetached(pid=pid):
                self.detached_pid, self.connection = pid, None
                connection.leave()
            case AttachRefused(reason=reason):
                self.state.trainer_lost(0, reason)
                self.connection = None
            case TrainerExited(code=code, stderr=stderr):
                if connection is self.connection:  # one that was replaced says nothing more about the run
                    self.state.trainer_lost(code, stderr)
                    self.connection = None

    def close(self) -> None:
        """Let the trainer save and end, in the background."""
        if self.connection is not None:
            self.connection.close()

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The present connection and those that are still closing."""
        return tuple(self._connections)
