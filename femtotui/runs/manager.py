"""The runs of this session: which one is current, which are parked, and the trainer processes behind them.

No Textual in here. Reader threads put messages into the connections' queues; `collect` folds them into the
states, in the app's thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from femtotui.core.commands import Command, InspectStep, Pause, Resume, SaveCheckpoint, Snapshot
from femtotui.core.config import RunConfig

from ..trainer.protocol import (
    AttachRefused,
    Continue,
    Detach,
    EventsArrived,
    SnapshotArrived,
    Start,
    TrainerDetached,
    TrainerExited,
    TrainerMessage,
)
from .state import RunState, Status
from .trash import RunTrash

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
        self._waiting: deque[TrainerMessage] = deque()
        self._wake = wake
        self._closing: threading.Thread | None = None
        self.trainer = factory(self._put)

    def _put(self, message: TrainerMessage) -> None:
        self._waiting.append(message)
        self._wake()

    def drain(self) -> list[TrainerMessage]:
        """All waiting messages, oldest first."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

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
        if self._closing is not None:
            self._closing.join()


class RunHandle:
    """A run of this session. `connection` is None while no trainer works on it.

    A run that is resumed gets a new connection; the one before may still be saving, and its last messages
    are read as well: `connections` are all of these. `detached_pid` is the trainer's process once it
    continues without this app.
    """

    def __init__(self, config: RunConfig, state: RunState | None = None) -> None:
        self.config = config
        self.state = state if state is not None else RunState(config)
        self.connection: Connection | None = None
        self.snapshot: SnapshotArrived | None = None
        self.detached_pid: int | None = None
        self.connections: list[Connection] = []

    def connect(self, connection: Connection) -> None:
        self.connection = connection
        self.connections.append(connection)

    def send(self, command: Command) -> bool:
        """Send a command to the trainer; False if there is none."""
        if self.connection is None:
            return False
        self.connection.trainer.send(command)
        return True

    def drain(self) -> bool:
        """Fold all waiting messages into the state; whether the present trainer sent one."""
        changed = False
        for connection in tuple(self.connections):
            is_over = connection.closed  # asked first: what it said before is in the queue then
            for message in connection.drain():
                changed = changed or connection is self.connection
                self._fold(connection, message)
            if is_over:
                self.connections.remove(connection)
        return changed

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
        if self.connection is not None:
            self.connection.close()


class RunManager:
    """Starts, parks, resumes and ends trainings. One runs at a time; parked ones may still be saving.

    `handles` are the newest runs of this session by preset key; `runs` is the folder of all runs.
    """

    def __init__(self, runs: Path, factory: TrainerFactory) -> None:
        self.runs = runs
        self.trash = RunTrash(runs)
        self.current: RunHandle | None = None
        self.handles: dict[str, RunHandle] = {}
        self.factory = factory
        self._listener: Callable[[], object] | None = None
        self._spare: Connection | None = None
        self._replaced: list[RunHandle] = []

    @property
    def current_folder(self) -> Path | None:
        """The folder of the current run, once it has one."""
        run = self.current.state.run if self.current is not None else None
        return Path(run) if run is not None else None

    # -- messages --------------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Spawn the first trainer now, so that it imports NumPy while the first frame is drawn."""
        if self._spare is None:
            self._spare = Connection(self.factory, self._wake)

    def listen(self, listener: Callable[[], object]) -> None:
        """Have `listener` called, from whatever thread, when messages wait; and once now."""
        self._listener = listener
        listener()

    def _wake(self) -> None:
        if self._listener is not None:
            self._listener()

    def collect(self) -> bool:
        """Fold all waiting messages into their runs' states; whether the current run's trainer sent one."""
        handles = (*self._replaced, *self.handles.values())
        changed = [handle for handle in handles if handle.drain()]
        self._replaced = [handle for handle in self._replaced if handle.connections]
        return self.current in changed

    # -- trainings -------------------------------------------------------------------------------------

    def start(self, config: RunConfig) -> None:
        """Park the current run and start `config` as a new one, the newest of its preset."""
        self._open(config).send(Start(config=config, runs=str(self.runs)))

    def continue_run(self, config: RunConfig, run: str) -> None:
        """Park the current run and continue one of an earlier session, from its folder."""
        self._open(config).send(Continue(run=run, history=True))

    def attach(self, config: RunConfig, factory: TrainerFactory) -> None:
        """Park the current run and connect to the trainer of a detached one."""
        self._open(config, Connection(factory, self._wake))

    def _open(self, config: RunConfig, connection: Connection | None = None) -> RunHandle:
        self.park()
        self.current = handle = RunHandle(config)
        handle.connect(connection or self._next_connection())
        self._register(handle)
        return handle

    def _next_connection(self) -> Connection:
        connection, self._spare = self._spare or Connection(self.factory, self._wake), None
        return connection

    def _register(self, handle: RunHandle) -> None:
        before = self.handles.get(handle.config.preset)
        if before is not None and before.connections:
            self._replaced.append(before)
        self.handles[handle.config.preset] = handle

    def park(self) -> None:
        """Let the current trainer checkpoint and end in the background."""
        if self.current is not None:
            self.current.close()

    def show(self, preset: str) -> None:
        """Make a preset's run current as it is: for one that has finished or failed."""
        if self.current is not self.handles[preset]:
            self.park()
            self.current = self.handles[preset]

    def resume_run(self, preset: str) -> None:
        """Resume the preset's run of this session from its last checkpoint, once that is written."""
        handle = self.handles[preset]
        if handle is not self.current:
            self.park()
        self.current = handle
        before = handle.connection
        handle.close()
        handle.state.set_status(Status.STARTING)
        connection = self._next_connection()
        handle.connect(connection)

        def send_when_saved() -> None:
            if before is not None:
                before.wait_closed()
            run = handle.state.run
            connection.trainer.send(
                Continue(run=run) if run else Start(config=handle.config, runs=str(self.runs))
            )

        if before is None or before.closed:
            send_when_saved()
        else:
            threading.Thread(target=send_when_saved, name="resuming", daemon=True).start()

    def adopt(self, state: RunState) -> None:
        """Register a run from the disk as the newest of its preset, parked, for `resume_run`."""
        handle = RunHandle(state.config, state)
        before = self.handles.get(state.config.preset)
        if before is not None:
            before.close()
            self.current = handle if before is self.current else self.current
        self._register(handle)

    # -- commands to the current trainer ---------------------------------------------------------------

    def _send(self, command: Command) -> bool:
        return self.current is not None and self.current.send(command)

    def pause(self) -> bool:
        """Ask for a pause; False if there is no trainer. The same for the others."""
        return self._send(Pause())

    def resume(self) -> bool:
        return self._send(Resume())

    def checkpoint(self) -> bool:
        return self._send(SaveCheckpoint())

    def detach(self) -> bool:
        return self._send(Detach())

    @property
    def is_detached(self) -> bool:
        return self.current is not None and self.current.detached_pid is not None

    def ask_snapshot(self) -> bool:
        return self._send(Snapshot())

    def inspect_step(self) -> bool:
        return self._send(InspectStep())

    # -- the end ---------------------------------------------------------------------------------------

    def close(self) -> None:
        """End every trainer, each with time to save, and wait; deleted runs are gone then.

        From any thread; `collect` reads the last messages.
        """
        handles = (*self._replaced, *self.handles.values())
        connections = [connection for handle in handles for connection in tuple(handle.connections)]
        if self._spare is not None:
            connections.append(self._spare)
        for connection in connections:
            connection.close()
        for connection in connections:
            connection.wait_closed()
        self.trash.empty()
