"""One process at a time writes a run: a lock that the system releases when its holder dies.

The lock is the operating system's (flock, or a byte range on Windows) on `run.lock`, so that a crash leaves
nothing stale: the file stays, the lock is gone. The file's content describes the holder to the user.
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

from ..errors import RunError, RunLockedError
from ..files import open_own, reraise_os_errors
from .info import RunFile

FORMAT = 1

_PATIENCE_S = 0.5
"""`holder_of` holds a shared lock for a moment; acquiring the lock waits that out."""

_MAX_BYTES = 4096
_BUSY = {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK}


class LockHolder(msgspec.Struct, frozen=True, kw_only=True):
    """The process that holds a run, its machine, and since when (local time, ISO 8601)."""

    format: int = FORMAT
    pid: int
    host: str
    since: str


class RunLock:
    """Held from `RunLock(folder)` to `release`, or to the end of the process."""

    def __init__(self, folder: Path) -> None:
        """Raises: RunLockedError if another process, or another training in this one, has it; RunError."""
        with reraise_os_errors(RunError, f"lock {folder} with its {RunFile.LOCK}"):
            self._descriptor = open_own(folder / RunFile.LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                if not _acquire_patiently(self._descriptor):
                    holder = _read_holder(self._descriptor)
                    who = f"process {holder.pid} on {holder.host}" if holder.pid else "another process"
                    raise RunLockedError(f"{folder.name} is being trained by {who}")
                since = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
                mine = LockHolder(pid=os.getpid(), host=socket.gethostname(), since=since)
                os.ftruncate(self._descriptor, 0)
                os.write(self._descriptor, msgspec.json.encode(mine))
            except BaseException:
                os.close(self._descriptor)
                raise

    def release(self) -> None:
        """Release the lock. A second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def holder_of(folder: Path) -> LockHolder | None:
    """The process that holds the run in `folder`; None if there is none, or it cannot be known."""
    with suppress(OSError):
        descriptor = open_own(folder / RunFile.LOCK, os.O_RDONLY)
        try:
            return None if _acquire(descriptor, shared=True) else _read_holder(descriptor)
        finally:
            os.close(descriptor)
    return None


def _read_holder(descriptor: int) -> LockHolder:
    with suppress(OSError, ValueError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        return msgspec.json.decode(os.read(descriptor, _MAX_BYTES), type=LockHolder)
    return LockHolder(pid=0, host="", since="")


def _acquire_patiently(descriptor: int) -> bool:
    deadline = time.monotonic() + _PATIENCE_S
    while not _acquire(descriptor, shared=False):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


def _acquire(descriptor: int, *, shared: bool) -> bool:
    """Lock without waiting; whether that worked. Raises: OSError for anything but a lock that is taken."""
    try:
        _lock(descriptor, shared)
        return True
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise


if sys.platform == "win32":
    import msvcrt

    _FAR_BYTE = 1 << 30
    """Windows locks keep others from reading: one byte far beyond the end hides nothing."""

    def _lock(descriptor: int, shared: bool) -> None:
        os.lseek(descriptor, _FAR_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        if shared:
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int, shared: bool) -> None:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
