"""progress.json: how far a run is, replaced in one move at every checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from .config import Settings
from .errors import RunError
from .files import os_error_words, write_atomically
from .formats import read_record

FORMAT = 1
PROGRESS_NAME = "progress.json"

_MAX_BYTES = 256 * 1024

RunState = Literal["training", "paused", "stopped", "finished", "failed"]


class Progress(Settings, frozen=True, kw_only=True):
    """A run as it was at its newest checkpoint.

    `elapsed_s` counts training only; `wall_s` also the pauses, and whatever else happened while a process had
    the run, over all `sittings`. `peak_rss_mib` is the most memory that a training process took. `machine`
    and `threads` are those of the newest sitting, "" and 0 where an older femtotui did not note them.
    `message` says why a run failed.
    """

    format: int = FORMAT
    state: RunState
    step: int
    train_loss: float | None
    val_loss: float | None
    elapsed_s: float
    wall_s: float
    peak_rss_mib: float
    sittings: int
    machine: str = ""
    threads: int = 0
    message: str = ""


def write_progress(folder: Path, progress: Progress) -> None:
    """Raises: RunError."""
    try:
        write_atomically(folder / PROGRESS_NAME, msgspec.json.encode(progress) + b"\n")
    except OSError as error:
        raise RunError(f"cannot write {folder / PROGRESS_NAME}: {os_error_words(error)}") from error


def read_progress(folder: Path) -> Progress | None:
    """What progress.json says; None before the first checkpoint.

    Raises: RunError for a damaged one, or one of a newer format.
    """
    return read_record(folder / PROGRESS_NAME, Progress, FORMAT, _MAX_BYTES)
