"""Where a run's text comes from: data settings to text, with a part set apart to validate on."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from pathlib import Path

from femtotui.core.config import DataConfig
from femtotui.core.errors import DataError
from femtotui.core.training.batches import Source
from femtotui.dummy_data import addition_dummy, simple_dummy

from .english import Download, download_english, english_is_cached, open_english
from .user_files import cat_command, open_files, read_files, split_text

__all__ = ["Download", "download_english", "english_is_cached", "open_source"]

VALIDATION_LINES = 1000
FRESH_BLOCK_LINES = 8000

RUST_STAND_IN = ("argparse.py", "dataclasses.py", "functools.py", "heapq.py", "textwrap.py")
"""Five files of the standard library, about 240 KB together: as many as the journal's Rust files."""


def open_source(data: DataConfig, seed: int, *, download: Download | None = None) -> Source:
    """Get the text that data settings name; a pure function of them and the seed, and of files on disk.

    `download` is told of the progress of a download; without it nothing is downloaded, and `english` is a
    stand-in unless it was downloaded before.

    Raises:
        DataError: there is no text, in words that say why.
    """
    match data.source:
        case "simple_dummy":
            return _simple_dummy(seed, data.lines)
        case "addition_dummy":
            return _addition_dummy(seed, data.lines)
        case "english":
            return open_english(download)
        case "rust":
            return open_files(data.paths) if data.paths else _rust_stand_in()
        case "files":
            return open_files(data.paths)


def _simple_dummy(seed: int, lines: int) -> Source:
    return Source(
        name="simple_dummy",
        train=simple_dummy.generate(seed, lines).encode(),
        validation=simple_dummy.generate(_validation_seed(seed), VALIDATION_LINES).encode(),
        command=f"python3 dummy_data/simple_dummy.py --seed {seed} --lines {lines} > dataset.txt",
        floor=simple_dummy.floor_nats_per_character(),
        fresh=_fresh(simple_dummy.generate, seed, lines),
    )


def _addition_dummy(seed: int, lines: int) -> Source:
    def generate(seed: int | str, lines: int) -> str:
        return addition_dummy.generate(seed, lines, "train")

    validation = addition_dummy.generate(_validation_seed(seed), VALIDATION_LINES, "held_out")
    return Source(
        name="addition_dummy",
        train=generate(seed, lines).encode(),
        validation=validation.encode(),
        notes=(
            "A tenth of all sums is never trained on: validation asks only those, so it measures adding and "
            "not remembering.",
        ),
        command=(
            f"python3 dummy_data/addition_dummy.py --seed {seed} --lines {lines} --sums train > dataset.txt"
        ),
        floor=addition_dummy.floor_nats_per_character("held_out"),
        fresh=_fresh(generate, seed, lines),
    )


def _fresh(generate: Callable[[int | str, int], str], seed: int, lines: int) -> Callable[[int], bytes]:
    """Blocks of lines for ever, of which block 0 is the training text (or its start, if that is long)."""
    block_lines = min(lines, FRESH_BLOCK_LINES)

    def fresh(block: int) -> bytes:
        return generate(f"{seed} block {block}" if block else seed, block_lines).encode()

    return fresh


def _validation_seed(seed: int) -> str:
    """No block of training text has such a seed."""
    return f"{seed} validation"


def _rust_stand_in() -> Source:
    folder = Path(sysconfig.get_path("stdlib"))
    paths = [folder / name for name in RUST_STAND_IN]
    try:
        text = read_files(paths)
    except DataError as error:
        raise DataError(
            "the stand-in for the journal's Rust files is the source of Python's standard library, which "
            f"this Python comes without ({error}): give files of your own, such as --data 'src/**/*.rs'"
        ) from error
    train, validation = split_text(text)
    return Source(
        name="rust (stand-in: Python source)",
        train=train,
        validation=validation,
        notes=(
            "This is not Rust but a stand-in, since the journal's five Rust files are its author's own: "
            f"{len(paths)} files of Python's standard library ({len(text) / 1e3:,.0f} KB: "
            f"{', '.join(RUST_STAND_IN)}). Losses do not compare with the journal's. "
            "For Rust, give files of your own, such as --data 'src/**/*.rs'.",
        ),
        command=cat_command(paths),
    )
