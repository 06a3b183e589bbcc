"""A run's text, as its data settings describe it: generated, downloaded, or read from files.

A part of every text is set apart for validation.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
import string
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from femtotui.core.config import DataConfig
from femtotui.core.errors import DataError, TextUnavailableError
from femtotui.core.files import os_error_words
from femtotui.core.training.batches import Source
from femtotui.dummy_data import addition_dummy, simple_dummy

from . import english
from .english import Download, download_english, english_is_cached
from .toml_file import visible

__all__ = ["Download", "download_english", "english_is_cached", "open_source"]

VALIDATION_LINES = 1000
"""Generated with the seed `<seed> validation`, which no block of training text has."""

FRESH_BLOCK_LINES = 8000
VALIDATION_SHARE = 0.1
NEARBY_SHARE = 0.02

RUST_STAND_IN = ("argparse.py", "dataclasses.py", "functools.py", "heapq.py", "textwrap.py")
"""Five files of the standard library, about 240 KB together: as many as the journal's Rust files."""

MAX_TEXT_BYTES = 256 * 2**20
"""All of the text is held in memory, several times over; no tiny GPT ever sees this much."""

MAX_NAMED_FILES = 20
"""A command for more files than this contains the globs instead."""

_PLAIN = {ord(c): c for c in f"{string.ascii_letters}{string.digits}/._-"}


def open_source(data: DataConfig, seed: int, *, download: Download | None = None) -> Source:
    """The text that data settings describe: a function of them, the seed and files on disk.

    `download` receives the progress of a download; without it nothing is downloaded, and `english` is a
    stand-in unless it was downloaded before.

    Raises: DataError if there is no text.
    """
    match data.source:
        case "simple_dummy":
            return _simple_dummy(seed, data.lines)
        case "addition_dummy":
            return _addition_dummy(seed, data.lines)
        case "english":
            return _english(download)
        case "rust" if not data.paths:
            return _rust_stand_in()
        case "rust" | "files":
            return _user_files(data.paths)


def _simple_dummy(seed: int, lines: int) -> Source:
    return Source(
        name="simple_dummy",
        train=simple_dummy.generate(seed, lines).encode(),
        validation=simple_dummy.generate(f"{seed} validation", VALIDATION_LINES).encode(),
        command=f"python3 dummy_data/simple_dummy.py --seed {seed} --lines {lines} > dataset.txt",
        floor=simple_dummy.floor_nats_per_character(),
        fresh=_fresh(simple_dummy.generate, seed, lines),
    )


def _addition_dummy(seed: int, lines: int) -> Source:
    def generate(seed: int | str, lines: int) -> str:
        return addition_dummy.generate(seed, lines, "train")

    validation = addition_dummy.generate(f"{seed} validation", VALIDATION_LINES, "held_out")
    return Source(
        name="addition_dummy",
        train=generate(seed, lines).encode(),
        validation=validation.encode(),
        notes=(
            "A tenth of all sums is never trained on: validation contains only those, so it measures adding "
            "and not remembering.",
        ),
        command=(
            f"python3 dummy_data/addition_dummy.py --seed {seed} --lines {lines} --sums train > dataset.txt"
        ),
        floor=addition_dummy.floor_nats_per_character("held_out"),
        fresh=_fresh(generate, seed, lines),
    )


def _fresh(generate: Callable[[int | str, int], str], seed: int, lines: int) -> Callable[[int], bytes]:
    """Endless blocks of lines; block 0 is the training text (or its start, if that is long)."""
    block_lines = min(lines, FRESH_BLOCK_LINES)

    def fresh(block: int) -> bytes:
        return generate(f"{seed} block {block}" if block else seed, block_lines).encode()

    return fresh


def _english(download: Download | None) -> Source:
    text = english.cached_english()
    if text is None and download is not None:
        english.download_english(download)
        text = english.cached_english()
    remote = english.ENGLISH
    if text is not None:
        return _split_source("english", text, f"curl -L {remote.url} > dataset.txt")
    text = english.english_stand_in()
    note = (
        "This is not the journal's English text, which is not downloaded, but a stand-in: the help texts "
        f"that come with Python (pydoc_data.topics, {len(text) / 1e3:,.0f} KB). Losses do not compare "
        f"with the journal's. For the real one, allow its download ({remote.n_bytes / 1e6:.1f} MB), or "
        f"download {remote.url} and train on that file."
    )
    return _split_source("english (stand-in: Python's help texts)", text, english.STAND_IN_COMMAND, note)


def _rust_stand_in() -> Source:
    folder = Path(sysconfig.get_path("stdlib"))
    paths = [folder / name for name in RUST_STAND_IN]
    try:
        text = _read_files(paths)
    except DataError as error:
        raise TextUnavailableError(
            "the stand-in for the journal's Rust files is the source of Python's standard library, which "
            f"this Python comes without ({error}): give files of your own"
        ) from error
    note = (
        "This is not Rust but a stand-in, since the journal's five Rust files are its author's own: "
        f"{len(paths)} files of Python's standard library ({len(text) / 1e3:,.0f} KB: "
        f"{', '.join(RUST_STAND_IN)}). Losses do not compare with the journal's. "
        "For Rust, train on files of your own."
    )
    return _split_source("rust (stand-in: Python source)", text, _cat_command(paths), note)


def _split_source(name: str, text: bytes, command: str, *notes: str) -> Source:
    train, validation = split_text(text)
    return Source(name=name, train=train, validation=validation, notes=notes, command=command)


def split_text(text: bytes) -> tuple[bytes, bytes]:
    """Training and validation text: the last tenth is for validation.

    The cut falls after the end of a line if one is near, and never inside a UTF-8 character.
    """
    cut = len(text) - round(len(text) * VALIDATION_SHARE)
    nearby = max(80, round(len(text) * NEARBY_SHARE))
    line_end = text.rfind(b"\n", max(0, cut - nearby), cut)
    if line_end >= 0:
        return text[: line_end + 1], text[line_end + 1 :]
    # A character has at most three bytes after its first; more of them are not UTF-8, and cut anywhere.
    starts = (at for at in range(cut, max(0, cut - 4), -1) if at == len(text) or text[at] & 0xC0 != 0x80)
    cut = next(starts, cut)
    return text[:cut], text[cut:]


def _user_files(patterns: Sequence[str]) -> Source:
    """The files that paths and globs name, in the order given and sorted within a glob.

    `~` and `**` mean the same as in a shell; the path of an existing file is never a glob.

    Raises: DataError.
    """
    paths = [path for pattern in patterns for path in _expand(pattern)]
    text = _read_files(paths)
    name = visible(paths[0].name) if len(paths) == 1 else f"{len(paths):,} files"
    if len(paths) <= MAX_NAMED_FILES:
        return _split_source(name, text, _cat_command(paths))
    return _split_source(name, text, f"cat {' '.join(map(_quote_all_but_globs, patterns))} > dataset.txt")


def _read_files(paths: Sequence[Path]) -> bytes:
    """The bytes of files, concatenated. Raises: DataError if one is unreadable, or there is too much."""
    total = 0
    for path in paths:
        total += _size(path)
        if total > MAX_TEXT_BYTES:
            raise DataError(
                f"that is too much text: with {visible(str(path))} it comes to {total / 2**20:,.0f} MiB, and "
                f"at most {MAX_TEXT_BYTES // 2**20} MiB are allowed; choose fewer files"
            )
    text = b"".join(map(_read, paths))
    if not text:
        names = visible(str(paths[0])) if len(paths) == 1 else f"each of the {len(paths):,} files"
        raise DataError(f"{names} is empty: there is nothing to train on")
    return text


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
    name = visible(str(path))
    with _readable(path):
        if path.is_dir():
            raise DataError(f"{name} is a folder: name its files, for example {visible(str(path / '*.txt'))}")
        size = path.stat().st_size
    if not path.is_file():
        raise DataError(f"{name} is a device or a pipe: save its text to a file first")
    return size


def _read(path: Path) -> bytes:
    with _readable(path):
        return path.read_bytes()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn a system error about a file into a DataError that names it."""
    name = visible(str(path))
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"there is no file {name}: check the path") from error
    except PermissionError as error:
        raise DataError(f"{name} may not be read: check its permissions") from error
    except OSError as error:
        raise DataError(f"{name} cannot be read: {os_error_words(error)}") from error


def _cat_command(paths: Sequence[Path]) -> str:
    return f"cat {' '.join(map(_shell_word, paths))} > dataset.txt"


def _shell_word(path: Path) -> str:
    """A file name for a shell: a leading dash starts no option, bytes that are not UTF-8 are `\\xff`."""
    name = str(path)
    if name.startswith("-"):
        name = f"./{name}"
    try:
        name.encode()
    except UnicodeEncodeError:
        spelt = (_PLAIN.get(byte, f"\\x{byte:02x}") for byte in os.fsencode(name))
        return f"$'{''.join(spelt)}'"
    return shlex.quote(name)


def _quote_all_but_globs(pattern: str) -> str:
    """Quote everything but `*`, `?`, `[...]` and a leading `~/`, which the shell expands."""
    parts = re.split(r"(\A~/|[*?]+|\[[^\]/]*\])", pattern)
    return "".join(part if index % 2 else shlex.quote(part) for index, part in enumerate(parts) if part)
