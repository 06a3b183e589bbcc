"""One's own text: paths and globs, read and put one after another as `cat` does."""

from __future__ import annotations

import glob
import os
import re
import shlex
import string
from collections.abc import Sequence
from pathlib import Path

from femtotui.core.errors import DataError
from femtotui.core.files import os_error_words
from femtotui.core.training.batches import Source

from .toml_file import visible

MAX_TEXT_BYTES = 256 * 2**20
"""All of the text is held in memory, several times over; no tiny GPT ever sees this much."""

_PLAIN = {ord(c): c for c in f"{string.ascii_letters}{string.digits}/._-"}

MOST_NAMED_FILES = 20
"""A command line with more files than this names the globs instead."""


def open_files(patterns: Sequence[str]) -> Source:
    """Read the files that paths and globs name, in the order given and sorted within a glob.

    `~` and `**` mean what they mean in a shell; a path that exists is taken as it is.

    Raises:
        DataError: a file that is missing, a folder, empty, too large or not to be read; a glob that
            matches no file.
    """
    paths = [path for pattern in patterns for path in _expand(pattern)]
    text = read_files(paths)
    train, validation = split_text(text)
    return Source(
        name=visible(paths[0].name) if len(paths) == 1 else f"{len(paths):,} files",
        train=train,
        validation=validation,
        command=cat_command(paths) if len(paths) <= MOST_NAMED_FILES else _glob_command(patterns),
    )


def read_files(paths: Sequence[Path]) -> bytes:
    """The bytes of files, one after another. Raises DataError."""
    total = 0
    for path in paths:
        total += _size(path)
        if total > MAX_TEXT_BYTES:
            raise DataError(
                f"that is too much text: with {visible(str(path))} it comes to {total / 2**20:,.0f} MiB, and "
                f"at most {MAX_TEXT_BYTES // 2**20} MiB are taken; choose fewer files"
            )
    text = b"".join(map(_read, paths))
    if not text:
        names = visible(str(paths[0])) if len(paths) == 1 else f"each of the {len(paths):,} files"
        raise DataError(f"{names} is empty: there is nothing to train on")
    return text


def cat_command(paths: Sequence[Path]) -> str:
    """The shell command that does the same."""
    return f"cat {' '.join(map(_shell_word, paths))} > dataset.txt"


def _expand(pattern: str) -> list[Path]:
    if "\0" in pattern:
        raise DataError(f"no file can be called {visible(pattern)}")
    expanded = os.path.expanduser(pattern)  # noqa: PTH111 - Path's refuses an unknown user, this leaves it
    if not glob.has_magic(expanded) or os.path.lexists(expanded):
        return [Path(expanded)]
    found = sorted(path for path in glob.glob(expanded, recursive=True) if not Path(path).is_dir())  # noqa: PTH207
    if not found:
        raise DataError(f"no file matches {visible(pattern)}: check the path, and quote it for the shell")
    return [Path(path) for path in found]


def _size(path: Path) -> int:
    try:
        if path.is_dir():
            raise DataError(
                f"{visible(str(path))} is a folder: name its files, "
                f"for example {visible(str(path / '*.txt'))}"
            )
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from error
    if not path.is_file():
        raise DataError(f"{visible(str(path))} is a device or a pipe: save its text to a file first")
    return size


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"there is no file {visible(str(path))}: check the path")
    if isinstance(error, PermissionError):
        return DataError(f"{visible(str(path))} may not be read: check its permissions")
    return DataError(f"{visible(str(path))} cannot be read: {os_error_words(error)}")


def _shell_word(path: Path) -> str:
    """A file name as a shell takes it: one that starts with a dash is no option, stray bytes are `\\xff`."""
    name = str(path)
    if name.startswith("-"):
        name = f"./{name}"
    try:
        name.encode()
    except UnicodeEncodeError:
        spelt = (_PLAIN.get(byte, f"\\x{byte:02x}") for byte in os.fsencode(name))
        return f"$'{''.join(spelt)}'"
    return shlex.quote(name)


def _glob_command(patterns: Sequence[str]) -> str:
    return f"cat {' '.join(map(_quote_all_but_globs, patterns))} > dataset.txt"


def _quote_all_but_globs(pattern: str) -> str:
    """Quote what a shell would misread, and leave `*`, `?`, `[...]` and a leading `~/` to it."""
    parts = re.split(r"(\A~/|[*?]+|\[[^\]/]*\])", pattern)
    return "".join(part if index % 2 else shlex.quote(part) for index, part in enumerate(parts) if part)


VALIDATION_SHARE = 0.1
NEARBY_SHARE = 0.02


def split_text(text: bytes) -> tuple[bytes, bytes]:
    """Training and validation text: the last tenth validates.

    The cut goes after the end of a line if one ends close by, and never through a UTF-8 character.
    """
    cut = len(text) - round(len(text) * VALIDATION_SHARE)
    nearby = max(80, round(len(text) * NEARBY_SHARE))
    line_end = text.rfind(b"\n", max(0, cut - nearby), cut)
    if line_end >= 0:
        cut = line_end + 1
    else:
        while cut > 0 and cut < len(text) and text[cut] & 0xC0 == 0x80:
            cut -= 1
    return text[:cut], text[cut:]
