"""Atomic writes, reads that follow no links, and readable messages for system errors.

A run folder may come from somebody else. Its files are opened by `open_own`, which follows no link: neither
reading nor writing a run reaches a file elsewhere.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from .errors import ConfigError, FemtoError, RunError

TEMPORARY_SUFFIX = ".tmp"
_CREATE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
# Without O_NONBLOCK, opening a pipe without a writer would block. Windows has neither flag.
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

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
    errno.ELOOP: "it is a link, and none is followed there: put the file itself in its place",
    errno.EMLINK: "it has a second name elsewhere (a hard link): put a copy in its place",
    errno.EIO: "the disk reports an error: save elsewhere, and check the disk",
    errno.EMFILE: "too many files are open",
}


def os_error_words(error: Exception) -> str:
    """A system error in words that say what to do; any other error's own message."""
    if not isinstance(error, OSError):
        return str(error)
    return _WORDS.get(error.errno or 0) or error.strerror or str(error) or type(error).__name__


@contextmanager
def reraise_os_errors(error_type: type[FemtoError], action: str) -> Iterator[None]:
    """Turn system errors in the body into an `error_type`: `cannot <action>: <reason>`."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte, text in the wrong encoding
        raise error_type(f"cannot {action}: {os_error_words(error)}") from error


def written(path: Path | str) -> str:
    """A path as valid UTF-8 text: other bytes become `\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def escape(character: str) -> str:
    r"""A character as Python writes it in ASCII: `\x1b`, `\u202e`."""
    return character.encode("unicode_escape").decode()


def escaped(text: str) -> str:
    """`text` on one line, inert: unprintable characters are escaped."""
    return "".join(c if c.isprintable() else escape(c) for c in text)


def require_utf8(path: Path | str, refusal: type[FemtoError]) -> None:
    """Check that a path can be stored in a run's files and in JSON. Raises: `refusal`."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise refusal(f"the name {written(path)} is not valid UTF-8: rename it, or choose another") from error


def is_full(error: BaseException | None) -> bool:
    """Whether a write failed for lack of disk space or quota."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def replace_atomically(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write to that replaces `path` atomically once it is complete and on disk.

    `mode` are its permissions, minus the umask. On any error `path` stays as it was and the temporary file
    is removed.

    Raises: OSError.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        temporary.unlink(missing_ok=True)  # left by a killed process of this pid, or planted as a link
        descriptor = os.open(temporary, _CREATE_NEW, mode)
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
    """Replace the content of `path` atomically. Raises: OSError."""
    with replace_atomically(path, mode) as file:
        file.write(data)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut, where the system can. Raises: OSError."""
    if os.name == "nt":  # Windows neither needs nor allows it
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and user-space file systems do not support it.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process left in `folder`."""
    for leftover in folder.glob(f"*{TEMPORARY_SUFFIX}"):
        with suppress(OSError):
            leftover.unlink()


def is_link(path: str | Path) -> bool:
    """Whether a path is a symbolic link or (from Python 3.12 on) a Windows junction."""
    # Not pathlib's: those raise where there is no permission to look.
    return os.path.islink(path) or getattr(os.path, "isjunction", os.path.islink)(path)  # noqa: PTH114


def own_folder(path: Path) -> Path:
    """`path`, which must not be a link to a folder elsewhere. Raises: OSError."""
    if is_link(path):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return path


def require_no_links(folder: Path, refusal: type[FemtoError]) -> None:
    """Check that `folder` contains no links; an unreadable one counts as empty. Raises: `refusal`."""
    with suppress(OSError):
        for path in folder.iterdir():
            if is_link(path):
                raise refusal(
                    f"{written(path)} is a link, and a run's files must lie in its own folder: "
                    "put the file or folder itself in its place"
                )


def open_own(path: str | Path, flags: int, mode: int = 0o666) -> int:
    """An `opener` for `open` that accepts regular files only.

    Raises: OSError, also for a link, a pipe or a device; with O_CREAT, for a file with a second hard link.
    """
    own_folder(Path(path))  # O_NOFOLLOW refuses links again below, where the system has it
    descriptor = os.open(path, flags | _NO_LINKS, mode)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not an ordinary file", str(path))
        # Rows are appended without O_CREAT, to files made by this program: a backup may hard-link those.
        if flags & os.O_CREAT and found.st_nlink > 1:
            raise OSError(errno.EMLINK, os.strerror(errno.EMLINK), str(path))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def read_limited(path: Path, limit: int) -> bytes:
    """The content of a file that must not be larger than `limit` bytes.

    Raises: OSError; ValueError for a larger one, before it is read.
    """
    with open(path, "rb", opener=open_own) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise ValueError(f"{path.name} is larger than {limit:,} bytes")
        return file.read(limit)


_Record = TypeVar("_Record", bound=msgspec.Struct)


class _AnyFormat(msgspec.Struct):
    format: int


def refuse_newer(text: bytes | str, known: int, what: Path | str, refusal: type[FemtoError]) -> None:
    """Refuse a file written by a newer version.

    Raises: `refusal`; ValueError or RecursionError for anything but a JSON object.
    """
    found = msgspec.json.decode(text, type=_AnyFormat).format
    if found > known:
        raise refusal(f"{what} was written by a newer femtotui (format {found}): update femtotui to open it")


def read_record(path: Path, record: type[_Record], known: int, limit: int) -> _Record | None:
    """Decode the JSON file `path`, of at most `limit` bytes and format `known`; None if it does not exist.

    Raises: RunError if it cannot be read, is damaged, or is of a newer format.
    """
    try:
        text = read_limited(path, limit)
        refuse_newer(text, known, path, RunError)
        return msgspec.json.decode(text, type=record)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"cannot read {path}: {os_error_words(error)}") from error
    except (ConfigError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise RunError(f"{path} is damaged: {error}") from error
