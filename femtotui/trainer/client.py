"""The app's side of a trainer process: start it or attach to it, receive its messages, send it commands."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING

from femtotui.core.commands import Command, Stop

from ..blas.kernel import limited_blas
from .protocol import (
    PipeChannel,
    ProtocolError,
    TrainerDetached,
    TrainerExited,
    TrainerMessage,
    receive_message,
    send_frame,
)

if TYPE_CHECKING:
    from .remote import RemoteProcess

if sys.platform == "linux":
    import fcntl

NEW_GROUP_FLAGS = 0
"""Windows's flags for a process of its own group, without a window."""
if sys.platform == "win32":
    NEW_GROUP_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW

_KEPT_STDERR_LINES = 40
_LONGEST_STDERR_LINE = 4096
_JOIN_SECONDS = 2.0
_PIPE_BYTES = 2**20


class Trainer:
    """A trainer process for one run, and the threads that talk to it.

    Unless a `process` is given, one is started at once, so that it imports NumPy while its user still does
    other things. `listener` is called from the reader thread, must be quick and must not raise.
    """

    def __init__(
        self,
        listener: Callable[[TrainerMessage], None],
        process: ChildProcess | RemoteProcess | None = None,
    ) -> None:
        self._listener = listener
        self._process = process or ChildProcess()
        self._outgoing: SimpleQueue[Command | None] = SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="trainer writer", daemon=True)
        self._reader = threading.Thread(target=self._read, name="trainer reader", daemon=True)
        self._writer.start()
        self._reader.start()

    def send(self, command: Command) -> None:
        """Queue a command; never blocks, and never raises when the process has ended."""
        self._outgoing.put(command)

    def close(self, timeout: float = 5.0) -> None:
        """Ask the training to save and end, wait, and after `timeout` seconds kill a process of this app.

        Not from the listener.
        """
        self._outgoing.put(Stop())
        self._reader.join(timeout)
        if self._reader.is_alive():
            self._process.cut()
        self.leave()

    def leave(self) -> None:
        """Disconnect from a trainer that has ended, or that sent TrainerDetached and continues."""
        self._outgoing.put(None)
        for thread in (self._reader, self._writer):
            # With a time limit: a listener may be waiting for the thread that calls this.
            thread.join(_JOIN_SECONDS)

    def _write(self) -> None:
        # The other end may be gone at any moment; the reader notices and reports that.
        with suppress(OSError, ProtocolError):
            while (command := self._outgoing.get()) is not None:
                send_frame(self._process.channel, command)
        self._process.disconnect()

    def _read(self) -> None:
        trouble = ""
        try:
            while True:
                message = receive_message(self._process.channel)
                self._listener(message)
                if isinstance(message, TrainerDetached):
                    return
        except EOFError:
            pass
        except (OSError, ProtocolError) as error:
            trouble = str(error)
            self._process.cut()  # out of step, it could not be controlled either
        self._outgoing.put(None)
        self._listener(self._process.result(trouble))


class ChildProcess:
    """A trainer process started by this app, its pipes, and the last lines of its standard error."""

    def __init__(self) -> None:
        # -P: a file called random.py in the current folder must not become a part of the trainer.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "femtotui.trainer.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=limited_blas(dict(os.environ)),
            # A session (on Windows: a process group) of its own: Ctrl+C in the terminal is for the app only.
            start_new_session=True,
            creationflags=NEW_GROUP_FLAGS,
        )
        self.pid = self._process.pid
        self.channel = PipeChannel(_pipe(self._process.stdout), _pipe(self._process.stdin))
        _widen(self.channel.incoming)
        self._stderr: deque[str] = deque(maxlen=_KEPT_STDERR_LINES)
        self._collector = threading.Thread(target=self._collect, name="trainer stderr", daemon=True)
        self._collector.start()

    def disconnect(self) -> None:
        """Close the pipe of commands: a trainer that was not detached then saves and ends."""
        self.channel.close()

    def result(self, trouble: str) -> TrainerExited:
        """The last message, once the process has ended."""
        code = self._process.wait()
        self._collector.join(_JOIN_SECONDS)
        self.channel.incoming.close()
        return TrainerExited(code, "\n".join([*self._stderr, trouble] if trouble else self._stderr))

    def cut(self) -> None:
        self._process.kill()

    def _collect(self) -> None:
        with _pipe(self._process.stderr) as stream:
            while line := stream.readline(_LONGEST_STDERR_LINE):
                self._stderr.append(line.decode(errors="replace").rstrip("\n"))


def _widen(stream: IO[bytes]) -> None:
    """Let a pipe hold more, if it may: a snapshot then blocks both sides for a third of the time."""
    if sys.platform == "linux":
        with suppress(OSError):  # a user with many pipes may have no more room in them
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("the trainer process was started without its pipes")
    return stream
