"""One process at a time writes a run: a lock that the system takes back when its holder dies.

The lock is the operating system's own (flock, or a byte range on Windows) on `run.lock`, so that a crash
leaves nothing stale behind: the file stays, the lock is gone. What the file says of its holder is for people.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ..errors import RunError
from ..files import open_own, os_error_words

LOCK_NAME = "run.lock"
FORMAT = 1

_PATIENCE_S = 0.5
"""A look from `holder_of` holds a shared lock for a moment; who takes the lock waits that out."""

_MAX_BYTES = 4096
_BUSY = {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK}


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a run: the process, its machine, and since when (local time, ISO 8601)."""

    format: int = FORMAT
    pid: int
    host: str
    since: str


class RunLock:
    """Held from `RunLock(folder)` to `release`, or to the end of the process."""

    def __init__(self, folder: Path) -> None:
        """Raises: RunError if another process, or another training in this one, has it."""
        path = folder / LOCK_NAME
        try:
            self._descriptor = open_own(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise RunError(f"cannot lock {folder} with its {LOCK_NAME}: {os_error_words(error)}") from error
        try:
            if not _take_patiently(self._descriptor):
                raise RunError(_words(folder, _read_holder(self._descriptor)))
            self._sign()
        except OSError as error:
            os.close(self._descriptor)
            raise RunError(f"cannot lock {folder}: {os_error_words(error)}") from error
        except BaseException:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        """Gives the lock back. A second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _sign(self) -> None:
        since = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
        holder = Holder(pid=os.getpid(), host=socket.gethostname(), since=since)
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, msgspec.json.encode(holder))


def holder_of(folder: Path) -> Holder | None:
    """Who holds the run in `folder` now; None if nobody does, or if it cannot be known."""
    try:
        descriptor = open_own(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        return None if _take(descriptor, shared=True) else _read_holder(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _read_holder(descriptor: int) -> Holder:
    with suppress(OSError, ValueError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        return msgspec.json.decode(os.read(descriptor, _MAX_BYTES), type=Holder)
    return Holder(pid=0, host="", since="")


def _words(folder: Path, holder: Holder) -> str:
    who = f"process {holder.pid} on {holder.host}" if holder.pid else "another process"
    return (
        f"{folder.name} is being trained by {who}: attach to it (`femtotui attach {folder.name}`), "
        "or end that one first"
    )


def _take_patiently(descriptor: int) -> bool:
    deadline = time.monotonic() + _PATIENCE_S
    while not _take(descriptor, shared=False):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


if sys.platform == "win32":
    import msvcrt

    _FAR_BYTE = 1 << 30
    """Windows locks keep others from reading: one byte far beyond the end hides nothing."""

    def _take(descriptor: int, *, shared: bool) -> bool:
        os.lseek(descriptor, _FAR_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in _BUSY:
                return False
            raise
        if shared:
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _take(descriptor: int, *, shared: bool) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _BUSY:
                return False
            raise
        return True
