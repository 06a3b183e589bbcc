"""The seam between the app and the trainer process: starts it, hands over its events, sends it commands."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING

from femtotui.core.errors import RunError
from femtotui.core.events import AnyEvent
from femtotui.core.files import os_error_words
from femtotui.core.run_folder.lock import holder_of

from ..blas.environment import limited_blas
from .protocol import (
    AnyFrame,
    Command,
    Detach,
    DetachedFrame,
    EventsFrame,
    Hello,
    RefusedFrame,
    SnapshotFrame,
    Stop,
    WireError,
    read_frame,
    write_frame,
)
from .remote import read_address

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

if sys.platform == "linux":
    import fcntl


_KEPT_STDERR_LINES = 40
_LONGEST_STDERR_LINE = 4096
_JOIN_SECONDS = 2.0
_PIPE_BYTES = 2**20


@dataclass(frozen=True)
class EventsArrived:
    """Events of the training, oldest first; at most ten such messages a second while it only makes steps."""

    events: tuple[AnyEvent, ...]


@dataclass(frozen=True, eq=False)
class SnapshotArrived:
    """The parameters as they were at `step`: the flat float32 vector, read-only."""

    step: int
    parameters_P: NDArray[np.float32]
    train_loss: float


@dataclass(frozen=True)
class TrainerExited:
    """The process is gone: the last message of a trainer. `stderr` holds the last lines it printed."""

    code: int
    stderr: str


@dataclass(frozen=True)
class TrainerDetached:
    """The process goes on without this app; the last message of a trainer that was asked to Detach."""

    pid: int


@dataclass(frozen=True)
class AttachRefused:
    """The trainer's door stayed shut, for `reason`."""

    reason: str


TrainerMessage = EventsArrived | SnapshotArrived | TrainerExited | TrainerDetached | AttachRefused


class Trainer:
    """One trainer process, for one run.

    It is spawned at once, so that it imports NumPy while its user still does other things. `listener` is
    called from a reader thread, must be quick and must not raise.
    """

    def __init__(self, listener: Callable[[TrainerMessage], None]) -> None:
        self._listener = listener
        self._outgoing: SimpleQueue[Command | None] = SimpleQueue()
        self._stderr: deque[str] = deque(maxlen=_KEPT_STDERR_LINES)
        self._process = _spawn()
        self._threads = [
            threading.Thread(target=target, name=f"trainer {name}", daemon=True)
            for name, target in (("writer", self._write), ("stderr", self._collect), ("reader", self._read))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, command: Command) -> None:
        """Hands a command over; never blocks, and never raises when the process is gone."""
        self._outgoing.put(command)

    def close(self, timeout: float = 5.0) -> None:
        """Asks the training to save and end, waits, and after `timeout` seconds ends the process."""
        self._outgoing.put(Stop())
        self._outgoing.put(None)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            if thread is not threading.current_thread():
                # With a limit: a listener may be waiting for the very thread that is here.
                thread.join(_JOIN_SECONDS)

    def leave(self) -> None:
        """Lets go of a trainer that said TrainerDetached; it goes on."""
        self._outgoing.put(None)

    def _write(self) -> None:
        stream = _pipe(self._process.stdin)
        # The other end may be gone at any moment; the reader is the one to notice and tell.
        with suppress(OSError):
            while (command := self._outgoing.get()) is not None:
                write_frame(stream, command)
        with suppress(OSError):
            stream.close()

    def _collect(self) -> None:
        with _pipe(self._process.stderr) as stream:
            while line := stream.readline(_LONGEST_STDERR_LINE):
                self._stderr.append(line.decode(errors="replace").rstrip("\n"))

    def _read(self) -> None:
        with _pipe(self._process.stdout) as stream:
            try:
                while (frame := read_frame(stream)) is not None:
                    self._listener(message_of(frame))
                    if isinstance(frame, DetachedFrame):
                        return
            except (OSError, WireError) as error:
                self._stderr.append(str(error))
                self._process.kill()  # what cannot be understood cannot be steered either
        code = self._process.wait()
        self._outgoing.put(None)
        self._threads[1].join(_JOIN_SECONDS)
        self._listener(TrainerExited(code, "\n".join(self._stderr)))


def message_of(frame: AnyFrame) -> TrainerMessage:
    """What a frame means to the app."""
    match frame:
        case EventsFrame():
            return EventsArrived(frame.events)
        case DetachedFrame():
            return TrainerDetached(frame.pid)
        case RefusedFrame():
            return AttachRefused(frame.reason)
        case SnapshotFrame():
            import numpy as np  # noqa: PLC0415  (the app draws its first frame without it)

            return SnapshotArrived(frame.step, np.frombuffer(frame.parameters, "<f4"), frame.train_loss)


def _spawn() -> subprocess.Popen[bytes]:
    # -P: a file called random.py in the current folder must not become a part of the trainer.
    command = [sys.executable, "-P", "-m", "femtotui.trainer.process"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=limited_blas(dict(os.environ)),
        # A session (on Windows: a process group) of its own: Ctrl+C in the terminal is the app's.
        start_new_session=True,
        creationflags=_windows_flags(),
    )
    _widen(_pipe(process.stdout))
    return process


def _widen(stream: IO[bytes]) -> None:
    """Let a pipe hold more, if it may: a snapshot then keeps both sides for a third of the time."""
    if sys.platform == "linux":
        with suppress(OSError):  # whoever has many pipes may have no more room in them
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _windows_flags() -> int:
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    return 0


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("the trainer process was started without its pipes")
    return stream


class AttachedTrainer:
    """A trainer process that this app did not start. `listener` is called as `Trainer`'s is."""

    def __init__(self, run: Path, listener: Callable[[TrainerMessage], None]) -> None:
        """Raises: RunError if nobody trains the run, or its trainer cannot be reached."""
        self._listener = listener
        self._outgoing: SimpleQueue[Command | None] = SimpleQueue()
        self._pid, self._connection = _knock(run)
        self._leaving = False
        self._threads = [
            threading.Thread(target=target, name=f"attached {name}", daemon=True)
            for name, target in (("writer", self._write), ("reader", self._read))
        ]
        for thread in self._threads:
            thread.start()

    def send(self, command: Command) -> None:
        """Hands a command over; never blocks, and never raises when the process is gone."""
        if isinstance(command, Detach):
            self._leaving = True
        self._outgoing.put(command)

    def close(self, timeout: float = 5.0) -> None:
        """Asks the training to save and end, and waits for that; it is not this app's to kill."""
        self._outgoing.put(Stop())
        self._threads[1].join(timeout)
        self.leave()

    def leave(self) -> None:
        """Lets go of the trainer; it goes on."""
        self._outgoing.put(None)
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN_SECONDS)
        self._connection.close()

    def _write(self) -> None:
        with suppress(OSError, ValueError), self._connection.makefile("wb") as stream:
            while (command := self._outgoing.get()) is not None:
                write_frame(stream, command)

    def _read(self) -> None:
        words = ""
        with self._connection.makefile("rb") as stream:
            try:
                while (frame := read_frame(stream)) is not None:
                    self._listener(message_of(frame))
            except (OSError, ValueError, WireError) as error:
                words = str(error)
        self._outgoing.put(None)
        self._listener(TrainerDetached(self._pid) if self._leaving else TrainerExited(0, words))


def _knock(run: Path) -> tuple[int, socket.socket]:
    """The trainer's process and a connection to it, past the secret."""
    address = read_address(run)
    holder = holder_of(run)
    if holder is None:
        raise RunError(
            f"{run.name} is not being trained now: go on with it by `femtotui train --resume {run.name}`"
        )
    if address is None:
        raise RunError(
            f"{run.name} is being trained by process {holder.pid}, which was not detached: "
            "press d in its app first"
        )
    try:
        connection = address.connect()
        with connection.makefile("wb") as stream:
            write_frame(stream, Hello(address.secret))
        connection.settimeout(None)
    except OSError as error:
        raise RunError(f"the trainer of {run.name} cannot be reached: {os_error_words(error)}") from error
    return address.pid, connection
