"""Files that are either whole or not there: atomic replacement, and the system's errors in words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import FemtoError

TEMPORARY_SUFFIX = ".tmp"
_WRITE_ANEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)

_WORDS = {
    errno.ENOSPC: "the disk is full: free some space, or choose another folder",
    errno.EDQUOT: "your disk quota is used up: free some space, or choose another folder",
    errno.EFBIG: "the system allows no file that large there",
    errno.EACCES: "there is no permission for that: choose a folder of your own",
    errno.EPERM: "there is no permission for that: choose a folder of your own",
    errno.EROFS: "that file system is read-only: choose another folder",
    errno.ENOENT: "it is not there (moved or deleted?)",
    errno.ENOTDIR: "a part of that path is a file, not a folder",
    errno.EEXIST: "a file of that name is in the way",
    errno.EISDIR: "that is a folder",
    errno.ENAMETOOLONG: "that name is too long for this system",
    errno.EIO: "the disk reports an error: save elsewhere, and check the disk",
    errno.EMFILE: "too many files are open",
}


def os_error_words(error: OSError) -> str:
    """What the system refused, in words that say what to do."""
    return _WORDS.get(error.errno or 0) or error.strerror or str(error) or type(error).__name__


def written(path: Path | str) -> str:
    """A path as text that any file or program can take: bytes that are no UTF-8 as `\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def require_utf8(path: Path | str, refusal: type[FemtoError]) -> None:
    """That a path can be written down, in a run's files and in JSON. Raises: `refusal`."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise refusal(f"the name {written(path)} is not valid UTF-8: rename it, or choose another") from error


def is_full(error: BaseException | None) -> bool:
    """Whether there was no room for what was to be written."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def replace_atomically(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path` in one move, once it is whole and on disk.

    `mode` are its permissions, less what the user's mask takes away. If anything goes wrong on the way,
    `path` stays as it was and the temporary file is removed.

    Raises: OSError.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        descriptor = os.open(temporary, _WRITE_ANEW, mode)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_atomically(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Replaces the content of `path` in one move. Raises: OSError."""
    with replace_atomically(path, mode) as file:
        file.write(data)


def sync_folder(folder: Path) -> None:
    """Makes a renaming inside `folder` last through a power cut, where the system can. Raises: OSError."""
    if os.name == "nt":  # Windows neither needs nor allows it
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and user-space file systems have no such call; their files are whole all the same.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Removes temporary files that a killed process left in `folder`."""
    for leftover in folder.glob(f"*{TEMPORARY_SUFFIX}"):
        with suppress(OSError):
            leftover.unlink()


def read_limited(path: Path, limit: int) -> bytes:
    """The content of a file that must not be larger than `limit` bytes.

    Raises: OSError; ValueError for a larger one, before it is read.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise ValueError(f"{path.name} is larger than {limit:,} bytes")
        return file.read(limit)
