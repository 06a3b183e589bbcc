"""The manager: which run is trained now, which ones are parked, and the trainer processes behind them.

No Textual in here. Reader threads put messages into links; `take` folds them into views, in the app's thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from femtotui.core.commands import Command, Pause, Resume, SaveCheckpoint, Snapshot
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
"""How long a trainer may take to save its run before it is ended; a checkpoint itself takes milliseconds."""

Listener = Callable[[TrainerMessage], None]


class TrainerLike(Protocol):
    """What the manager needs of `femtotui.trainer.client.Trainer`."""

    def send(self, command: Command) -> None: ...
    def close(self, timeout: float = 5.0) -> None: ...
    def leave(self) -> None: ...


TrainerFactory = Callable[[Listener], TrainerLike]


class Link:
    """A trainer process and what it said that nobody has taken yet."""

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

    def take(self) -> list[TrainerMessage]:
        """All that waits, oldest first."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        return waiting

    def close(self) -> None:
        """Let the trainer save and end, in the background."""
        if self._closing is None:
            self._closing = threading.Thread(
                target=self.trainer.close, args=(SAVING_SECONDS,), name="parking", daemon=True
            )
            self._closing.start()

    def leave(self) -> None:
        """Let go of a trainer that goes on without the app."""
        if self._closing is None:
            self._closing = threading.Thread(target=self.trainer.leave, name="leaving", daemon=True)
            self._closing.start()

    @property
    def closed(self) -> bool:
        return self._closing is not None and not self._closing.is_alive()

    def wait_closed(self, timeout: float | None = None) -> None:
        """Wait for `close`, if it was called."""
        if self._closing is not None:
            self._closing.join(timeout)


@dataclass
class RunHandle:
    """A preset's place at the manager: its run of this session, its last snapshot, its link while it has one.

    `detached_pid` is the trainer's process once it goes on without this app.
    """

    config: RunConfig
    view: RunState
    link: Link | None = None
    snapshot: SnapshotArrived | None = None
    detached_pid: int | None = None


@dataclass(frozen=True)
class Taken:
    """What `RunManager.take` brought for the current run."""

    changed: bool = False
    snapshot: SnapshotArrived | None = None


class RunManager:
    """Starts, parks, continues and ends trainings. One runs at a time; parked ones may still be saving."""

    def __init__(self, runs: Path, factory: TrainerFactory) -> None:
        self.runs = runs
        self.trash = RunTrash(runs)
        self.current: RunHandle | None = None
        self.places: dict[str, RunHandle] = {}
        self.factory = factory
        self._listener: Callable[[], object] | None = None
        self._spare: Link | None = None
        self._links: list[tuple[Link, RunHandle]] = []

    # -- links -----------------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Spawn the first trainer now, so that it imports NumPy while the first frame is drawn."""
        if self._spare is None:
            self._spare = Link(self.factory, self._wake)

    def listen(self, listener: Callable[[], object]) -> None:
        """Have `listener` called, from whatever thread, when messages wait; and once now."""
        self._listener = listener
        listener()

    def _wake(self) -> None:
        if self._listener is not None:
            self._listener()

    def _connect(self, place: RunHandle, factory: TrainerFactory | None = None) -> Link:
        if factory is not None:
            link = Link(factory, self._wake)
        else:
            link, self._spare = self._spare or Link(self.factory, self._wake), None
        place.link = link
        self._links.append((link, place))
        return link

    def take(self) -> Taken:
        """Fold all waiting messages into their runs' views; say what is new of the current one."""
        changed, snapshot = False, None
        for link, place in tuple(self._links):
            over = link.closed
            for message in link.take():
                if place is self.current and link is place.link:
                    changed = True
                    snapshot = message if isinstance(message, SnapshotArrived) else snapshot
                self._fold(link, place, message)
            if over:
                self._links.remove((link, place))
        return Taken(changed, snapshot)

    @staticmethod
    def _fold(link: Link, place: RunHandle, message: TrainerMessage) -> None:
        match message:
            case EventsArrived(events=events):
                place.view.fold(events)
            case SnapshotArrived():
                place.snapshot = message
            case TrainerDetached(pid=pid):
                place.detached_pid, place.link = pid, None
                link.leave()
            case AttachRefused(reason=reason):
                place.view.trainer_lost(0, reason)
                place.link = None
            case TrainerExited(code=code, stderr=stderr):
                if link is place.link:  # one that was replaced has nothing more to say about the run
                    place.view.trainer_lost(code, stderr)
                    place.link = None

    # -- trainings -------------------------------------------------------------------------------------

    def begin(self, config: RunConfig) -> None:
        """Park what trains and start `config` as a new run; the place of its preset is taken by it."""
        self.park()
        self._seat(config).trainer.send(Start(config=config, runs=str(self.runs)))

    def take_up(self, config: RunConfig, run: str) -> None:
        """Park what trains and go on with a run of an earlier session; its preset's place is taken by it."""
        self.park()
        self._seat(config).trainer.send(Continue(run=run, history=True))

    def attach(self, config: RunConfig, factory: TrainerFactory) -> None:
        """Park what trains and take up a run whose trainer was detached."""
        self.park()
        self._seat(config, factory)

    def _seat(self, config: RunConfig, factory: TrainerFactory | None = None) -> Link:
        place = RunHandle(config, RunState(config))
        link = self._connect(place, factory)
        self.places[config.preset] = self.current = place
        return link

    def park(self) -> None:
        """Let the current trainer checkpoint and end in the background."""
        if self.current is not None and self.current.link is not None:
            self.current.link.close()

    def show(self, preset: str) -> None:
        """Make a preset's place current as it is: for a run that has finished or failed."""
        if self.current is not self.places[preset]:
            self.park()
            self.current = self.places[preset]

    def go_on(self, preset: str) -> None:
        """Continue the preset's run of this session from its last checkpoint, once that is written."""
        place = self.places[preset]
        if place is not self.current:
            self.park()
        self.current = place
        before = place.link
        if before is not None:
            before.close()
        place.view.status = Status.STARTING
        trainer = self._connect(place).trainer

        def send_when_saved() -> None:
            if before is not None:
                before.wait_closed()
            run = place.view.run
            trainer.send(Continue(run=run) if run else Start(config=place.config, runs=str(self.runs)))

        if before is None or before.closed:
            send_when_saved()
        else:
            threading.Thread(target=send_when_saved, name="continuing", daemon=True).start()

    def adopt(self, view: RunState) -> None:
        """Give a run from the disk the place of its preset, parked, so that `go_on` can continue it."""
        preset = view.config.preset
        before = self.places.get(preset)
        if before is not None and before.link is not None:
            before.link.close()
        place = RunHandle(view.config, view)
        if before is not None and before is self.current:
            self.current = place
        self.places[preset] = place

    # -- commands to the current trainer ---------------------------------------------------------------

    def _send(self, command: Command) -> bool:
        if self.current is None or self.current.link is None:
            return False
        self.current.link.trainer.send(command)
        return True

    def pause(self) -> bool:
        """Ask for a pause; False if no trainer is there to hear it. The same for the others."""
        return self._send(Pause())

    def resume(self) -> bool:
        return self._send(Resume())

    def checkpoint(self) -> bool:
        return self._send(SaveCheckpoint())

    def detach(self) -> bool:
        """Ask the current trainer to go on without the app."""
        return self._send(Detach())

    @property
    def is_detached(self) -> bool:
        """Whether the current run goes on without the app."""
        return self.current is not None and self.current.detached_pid is not None

    def ask_snapshot(self) -> bool:
        return self._send(Snapshot())

    # -- the end ---------------------------------------------------------------------------------------

    def close(self) -> None:
        """End every trainer, each with time to save, and wait; deleted runs are gone then.

        From any thread; `take` has the last words.
        """
        links = [link for link, _place in self._links]
        if self._spare is not None:
            links.append(self._spare)
        for link in links:
            link.close()
        for link in links:
            link.wait_closed()
        self.trash.empty()
