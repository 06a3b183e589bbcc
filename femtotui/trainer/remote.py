"""The door of a detached trainer: a socket on this machine through which one app at a time comes back.

Where to knock stands in the run folder, in `trainer.json`, together with a secret; both are readable by their
owner only. What comes in are the same frames as through the pipes (see wire.py). Nothing is unpickled.
"""

from __future__ import annotations

import hmac
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

import msgspec

from femtotui.core.commands import Snapshot, Steering
from femtotui.core.errors import RunError
from femtotui.core.files import os_error_words, read_record, write_atomically
from femtotui.core.run_folder.info import RunFile

from .protocol import Continue, Detach, RefusedFrame, Start, WireError, read_command, read_hello, write_frame

ADDRESS_NAME = RunFile.TRAINER_ADDRESS
SOCKET_NAME = RunFile.TRAINER_SOCKET
FORMAT = 1

HANDSHAKE_SECONDS = 5.0

_MAX_ADDRESS_BYTES = 4096
_MAX_SOCKET_PATH_BYTES = 100
"""A little less than the shortest limit that a system has (104)."""


class Address(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a detached trainer listens: a Unix socket's path, or a port of this machine."""

    format: int = FORMAT
    pid: int
    secret: str
    path: str = ""
    port: int = 0

    def connect(self) -> socket.socket:
        """Raises: OSError."""
        if self.path:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            where: str | tuple[str, int] = self.path
        else:
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            where = ("127.0.0.1", self.port)
        connection.settimeout(HANDSHAKE_SECONDS)
        try:
            connection.connect(where)
        except OSError:
            connection.close()
            raise
        return connection


def read_address(run: Path) -> Address | None:
    """Where the trainer of a run listens; None if it was never detached. Raises: RunError."""
    return read_record(run / ADDRESS_NAME, Address, FORMAT, _MAX_ADDRESS_BYTES)


class Door:
    """Listens from its making to `close`. Guests that knocked rightly wait in `newcomers`."""

    def __init__(self, run: Path, steering: SimpleQueue[Steering]) -> None:
        """Raises: RunError if no socket can be opened, or its address cannot be written."""
        self.newcomers: SimpleQueue[BinaryIO] = SimpleQueue()
        self._steering = steering
        self._secret = secrets.token_hex(32)
        self._inside = threading.Lock()
        self._address_path = run / ADDRESS_NAME
        self._folder: Path | None = None
        try:
            self._socket, path, port = self._listen(run)
            address = Address(pid=os.getpid(), secret=self._secret, path=path, port=port)
            write_atomically(self._address_path, msgspec.json.encode(address), mode=0o600)
        except OSError as error:
            raise RunError(f"cannot open a door in {run}: {os_error_words(error)}") from error
        threading.Thread(target=self._welcome, name="door", daemon=True).start()

    def _listen(self, run: Path) -> tuple[socket.socket, str, int]:
        if sys.platform == "win32" or not hasattr(socket, "AF_UNIX"):
            listening = socket.create_server(("127.0.0.1", 0))
            return listening, "", listening.getsockname()[1]
        path = run / SOCKET_NAME
        if len(os.fsencode(path)) > _MAX_SOCKET_PATH_BYTES:
            self._folder = Path(tempfile.mkdtemp(prefix="femtotui-"))
            path = self._folder / SOCKET_NAME
        path.unlink(missing_ok=True)  # of a trainer that was killed: the run is locked, so there is no other
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen()
        return listening, str(path), 0

    def close(self) -> None:
        """Stops listening and takes the address away."""
        self._socket.close()
        with suppress(OSError):
            self._address_path.unlink(missing_ok=True)
        with suppress(OSError):
            self._address_path.with_name(SOCKET_NAME).unlink(missing_ok=True)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _welcome(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._attend, args=(connection,), name="guest", daemon=True).start()

    def _attend(self, connection: socket.socket) -> None:
        """One connection, from its knock to its end."""
        with suppress(OSError, WireError, ValueError), connection:
            connection.settimeout(HANDSHAKE_SECONDS)
            with connection.makefile("rb") as incoming:
                hello = read_hello(incoming)
                if hello is None or not hmac.compare_digest(hello.secret.encode(), self._secret.encode()):
                    return
                outgoing = connection.makefile("wb")
                if not self._inside.acquire(blocking=False):
                    write_frame(
                        outgoing, RefusedFrame("another app is attached to it: detach that one first")
                    )
                    outgoing.close()
                    return
                try:
                    connection.settimeout(None)
                    self._obey(incoming, outgoing)
                finally:
                    self._inside.release()
                    connection.shutdown(socket.SHUT_RDWR)

    def _obey(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self.newcomers.put(outgoing)
        self._steering.put(Snapshot())  # whatever the training does, it looks up for that
        while (command := read_command(incoming)) is not None and not isinstance(command, Detach):
            if not isinstance(command, Start | Continue):
                self._steering.put(command)
