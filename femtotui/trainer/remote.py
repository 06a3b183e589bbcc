"""The local socket of a detached trainer, through which one app at a time attaches again.

The run folder's `trainer.json` holds its address and a secret key; that file and the socket are accessible to
their owner only. Both sides prove by HMAC that they know the key (`multiprocessing.connection`). Of the
connection, only `send_bytes` and `recv_bytes` are used, never `send` and `recv`: nothing is unpickled.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import ProcessError
from multiprocessing.connection import Client, Connection, Listener, answer_challenge, deliver_challenge
from pathlib import Path

import msgspec

from femtotui.core.errors import FemtoError, RunError
from femtotui.core.files import os_error_words, read_record, write_atomically
from femtotui.core.run_folder.info import RunFile
from femtotui.core.run_folder.lock import holder_of

from .protocol import AttachRefused, TrainerExited, send_frame

FORMAT = 1

HANDSHAKE_SECONDS = 5.0

_BACKLOG = 16
_MAX_ADDRESS_BYTES = 4096
_MAX_SOCKET_PATH_BYTES = 100
"""A little less than the shortest limit of a system (104)."""

# A peer that is silent, gone or no femtotui; AssertionError and ValueError are those of the handshake.
_HANDSHAKE_ERRORS = (OSError, EOFError, ProcessError, AssertionError, ValueError)


class Address(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The address of a detached trainer: the path of a Unix socket, or a port of this machine."""

    format: int = FORMAT
    pid: int
    secret: str
    path: str = ""
    port: int = 0

    def connect(self) -> Connection:
        """Connect and authenticate. Raises: OSError, EOFError, ProcessError, AssertionError, ValueError."""
        connection = Client(self.path or ("127.0.0.1", self.port))
        with _time_limit(connection):
            answer_challenge(connection, self.secret.encode())
            deliver_challenge(connection, self.secret.encode())
        return connection


def read_address(run: Path) -> Address | None:
    """The address of a run's trainer; None if it was never detached. Raises: RunError."""
    return read_record(run / RunFile.TRAINER_ADDRESS, Address, FORMAT, _MAX_ADDRESS_BYTES)


def shut_down(connection: Connection) -> None:
    """End a connection in both directions; a thread that reads from it wakes up."""
    with suppress(OSError), socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as twin:
        twin.shutdown(socket.SHUT_RDWR)


@contextmanager
def _time_limit(connection: Connection) -> Iterator[None]:
    """Shut the connection down if the handshake takes too long."""
    timer = threading.Timer(HANDSHAKE_SECONDS, shut_down, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class RemoteListener:
    """Accepts apps, from construction to `close`.

    `serve` is called with the connection of an authenticated app, in a thread of that connection, which ends
    when `serve` returns. While one app is attached, others are refused.
    """

    def __init__(self, run: Path, serve: Callable[[Connection], None]) -> None:
        """Raises: RunError if no socket can be opened, or its address cannot be written."""
        self._serve = serve
        self._key = secrets.token_hex(32)
        self._attached = threading.Lock()
        self._address_path = run / RunFile.TRAINER_ADDRESS
        self._temporary: Path | None = None
        try:
            self._listener, path, port = self._listen(run)
            address = Address(pid=os.getpid(), secret=self._key, path=path, port=port)
            write_atomically(self._address_path, msgspec.json.encode(address), mode=0o600)
        except OSError as error:
            raise RunError(f"cannot open a socket in {run}: {os_error_words(error)}") from error
        threading.Thread(target=self._accept, name="listener", daemon=True).start()

    def _listen(self, run: Path) -> tuple[Listener, str, int]:
        if sys.platform == "win32" or not hasattr(socket, "AF_UNIX"):
            listener = Listener(("127.0.0.1", 0), "AF_INET", _BACKLOG)
            return listener, "", listener.address[1]
        path = run / RunFile.TRAINER_SOCKET
        if len(os.fsencode(path)) > _MAX_SOCKET_PATH_BYTES:
            self._temporary = Path(tempfile.mkdtemp(prefix="femtotui-"))
            path = self._temporary / RunFile.TRAINER_SOCKET
        path.unlink(missing_ok=True)  # of a trainer that was killed: the run is locked, so there is no other
        listener = Listener(str(path), "AF_UNIX", _BACKLOG)
        path.chmod(0o600)
        return listener, str(path), 0

    def close(self) -> None:
        """Stop listening and remove the address."""
        with suppress(OSError):
            self._listener.close()  # removes the socket, too
        with suppress(OSError):
            self._address_path.unlink(missing_ok=True)
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:
                return
            # Authentication is not left to `accept`: a silent client would keep all others waiting.
            threading.Thread(target=self._attend, args=(connection,), name="attached", daemon=True).start()

    def _attend(self, connection: Connection) -> None:
        """One connection, from the handshake to its end."""
        try:
            with suppress(FemtoError, *_HANDSHAKE_ERRORS):
                with _time_limit(connection):
                    deliver_challenge(connection, self._key.encode())
                    answer_challenge(connection, self._key.encode())
                if not self._attached.acquire(blocking=False):
                    send_frame(
                        connection, AttachRefused("another app is attached to it: detach that one first")
                    )
                    return
                try:
                    self._serve(connection)
                finally:
                    self._attached.release()
        finally:
            # Not closed: another thread may be writing to this descriptor. The last reference closes it.
            shut_down(connection)


class RemoteProcess:
    """A detached trainer process, and the authenticated connection to it."""

    def __init__(self, run: Path) -> None:
        """Raises: RunError if nobody trains the run, or its trainer cannot be reached."""
        address, holder = read_address(run), holder_of(run)
        if holder is None:
            raise RunError(
                f"{run.name} is not being trained now: resume it with `femtotui train --resume {run.name}`"
            )
        if address is None:
            raise RunError(
                f"{run.name} is being trained by process {holder.pid}, which was not detached: "
                "press d in its app first"
            )
        try:
            self.channel = address.connect()
        except OSError as error:
            words = os_error_words(error)
            raise RunError(f"the trainer of {run.name} cannot be reached: {words}") from error
        except _HANDSHAKE_ERRORS as error:
            raise RunError(
                f"the trainer of {run.name} did not accept the key in {RunFile.TRAINER_ADDRESS}, "
                "or did not answer"
            ) from error

    def result(self, trouble: str) -> TrainerExited:
        """The last message, once the connection has ended; the exit code is not known here."""
        return TrainerExited(0, trouble)

    def disconnect(self) -> None:
        """End the connection; the process continues, as it belongs to no app."""
        shut_down(self.channel)

    cut = disconnect
