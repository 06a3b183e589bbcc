"""Files that are either whole or not there, and that are their folder's own; the system's errors in words.

A run folder may have been made by somebody else. What lies in it is opened by `open_own`, which follows no
link: neither reading nor writing a run reaches a file elsewhere.
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
_WRITE_ANEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
# Without O_NONBLOCK, a pipe that nobody writes to would be waited for. Windows has neither.
_AS_IT_LIES = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

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


def os_error_words(error: OSError) -> str:
    """What the system refused, in words that say what to do."""
    return _WORDS.get(error.errno or 0) or error.strerror or str(error) or type(error).__name__


def written(path: Path | str) -> str:
    """A path as text that any file or program can take: bytes that are no UTF-8 as `\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def escape(character: str) -> str:
    r"""A character as Python writes it in ASCII: `\x1b`, `\u202e`."""
    return character.encode("unicode_escape").decode()


def escaped(text: str) -> str:
    """`text` on one line, inert: unprintable characters are escaped."""
    return "".join(c if c.isprintable() else escape(c) for c in text)


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
        temporary.unlink(missing_ok=True)  # left by a killed process of this number, or laid there as a link
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


def is_link(path: str | Path) -> bool:
    """Whether a name leads elsewhere: a symbolic link, or (from Python 3.12 on) a junction of Windows."""
    # Not pathlib's: those raise where there is no permission to look.
    return os.path.islink(path) or getattr(os.path, "isjunction", os.path.islink)(path)  # noqa: PTH114


def _require_no_link(path: str | Path) -> None:
    if is_link(path):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def own_folder(path: Path) -> Path:
    """`path`, which must not be a link to a folder elsewhere. Raises: OSError."""
    _require_no_link(path)
    return path


def require_no_links(folder: Path, refusal: type[FemtoError]) -> None:
    """That nothing in `folder` leads out of it; one that cannot be read holds nothing. Raises: `refusal`."""
    paths: list[Path] = []
    with suppress(OSError):
        paths = list(folder.iterdir())
    for path in paths:
        if is_link(path):
            raise refusal(
                f"{written(path)} is a link, and a run's files must lie in its own folder: "
                "put the file or folder itself in its place"
            )


def open_own(path: str | Path, flags: int, mode: int = 0o666) -> int:
    """A descriptor of an ordinary file that lies where its name says: an `opener` for `open`.

    Raises: OSError, also for a link, a pipe or a device; with O_CREAT, for a file that has a second name.
    """
    _require_no_link(path)  # O_NOFOLLOW refuses it again below, where the system has that
    descriptor = os.open(path, flags | _AS_IT_LIES, mode)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not an ordinary file", str(path))
        # Rows are written without O_CREAT, into files made by this program: a backup may link those any time.
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
    format: int = 1


def refuse_newer(text: bytes | str, known: int, what: Path | str, refusal: type[FemtoError]) -> None:
    """Refuses a file of a later femtotui; one that says no format is of the first.

    Raises: `refusal`; ValueError or RecursionError for what is no JSON object.
    """
    found = msgspec.json.decode(text, type=_AnyFormat).format
    if found > known:
        raise refusal(f"{what} was written by a newer femtotui (format {found}): update femtotui to open it")


def read_record(path: Path, record: type[_Record], known: int, limit: int) -> _Record | None:
    """What the JSON file `path` says, of `limit` bytes and format `known` at most; None if it is not there.

    Raises: RunError for one that cannot be read, is damaged, or is of a newer format.
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
