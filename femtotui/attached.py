"""The seam to a trainer that was detached: like `Trainer`, through the trainer's door instead of pipes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from femtotui.core.errors import RunError
from femtotui.core.files import os_error_words
from femtotui.core.lock import holder_of

from .commands import Command, Detach, Stop
from .door import read_address
from .trainer import TrainerDetached, TrainerExited, TrainerMessage, message_of
from .wire import Hello, WireError, read_frame, write_frame

_JOIN_SECONDS = 2.0


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
