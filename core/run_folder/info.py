"""run.json: what a run is, written once when it is made."""

from __future__ import annotations

import importlib.metadata
import platform
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from .. import machine
from ..config import ConfigStruct, RunConfig
from ..errors import RunError
from ..files import os_error_words, read_record, require_no_links, require_utf8, write_atomically

if TYPE_CHECKING:
    from ..training.batches import Source

FORMAT = 1
CHECKPOINTS_NAME = "checkpoints"

_MAX_INFO_BYTES = 4 * 1024 * 1024
_VERSIONED_PACKAGES = ("femtotui", "numpy", "tokenizers", "safetensors")


class DataInfo(ConfigStruct, frozen=True):
    """The text that a run trains on: enough to recognise it, and to make it again."""

    name: str
    sha256: str
    n_bytes: int
    command: str
    notes: tuple[str, ...] = ()


class RunInfo(ConfigStruct, frozen=True, forbid_unknown_fields=False):
    """What run.json holds. `created` is local time with its offset, ISO 8601."""

    format: int
    created: str
    config: RunConfig
    parameters: int
    data: DataInfo
    versions: dict[str, str]
    machine: str
    blas: str


def read_info(path: Path) -> RunInfo:
    """What run.json in the folder `path` says.

    Raises: RunError for a folder that is not there, foreign, damaged or of a newer format, and for one that
    holds links: whoever was sent it must be able to read, train and delete it without harm elsewhere.
    """
    require_utf8(path, RunError)
    require_no_links(path, RunError)
    require_no_links(path / CHECKPOINTS_NAME, RunError)
    info = read_record(path / "run.json", RunInfo, FORMAT, _MAX_INFO_BYTES)
    if info is None:
        raise RunError(f"{path} is not a run folder: it has no run.json")
    return info


def describe_run(config: RunConfig, source: Source) -> RunInfo:
    """What run.json says of a run that begins now."""
    versions = {"python": platform.python_version()}
    for package in _VERSIONED_PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return RunInfo(
        format=FORMAT,
        created=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        config=config,
        parameters=config.model.n_parameters,
        data=DataInfo(
            name=source.name,
            sha256=source.sha256,
            n_bytes=len(source.train) + len(source.validation),
            command=source.command,
            notes=source.notes,
        ),
        versions=versions,
        machine=machine.describe_machine(),
        blas=machine.blas_description(),
    )


PROGRESS_NAME = "progress.json"

_MAX_BYTES = 256 * 1024

RunState = Literal["training", "paused", "stopped", "finished", "failed"]


class Progress(ConfigStruct, frozen=True, kw_only=True):
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
