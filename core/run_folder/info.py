"""The files of a run folder, and the two records that describe a run: run.json and progress.json."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Literal

import msgspec

from ..config import ConfigStruct, RunConfig
from ..errors import RunError
from ..files import read_record, require_no_links, require_utf8, reraise_os_errors, write_atomically

FORMAT = 1
MAX_RECORD_BYTES = 4 * 1024 * 1024


class RunFile(StrEnum):
    """Every file of a run folder, by name: `folder / RunFile.METRICS`.

    Each is either appended to in whole lines or replaced atomically. The format version in run.json also
    covers the CSV and JSONL files; all others carry their own.
    """

    INFO = "run.json"  # configuration, versions, machine, data (RunInfo); written once
    TOKENIZER = "tokenizer.json"
    METRICS = "metrics.csv"  # one row per step
    EVALS = "evals.csv"  # one row per evaluation
    SAMPLES = "samples.jsonl"  # one line per sample
    SCORES = "scores.jsonl"  # one line per score of the run's evaluator
    CHECKPOINTS = "checkpoints"  # a folder of step-N.safetensors: the last few, and the best by validation
    PROGRESS = "progress.json"  # replaced at every checkpoint (Progress)
    ENTRY = "entry.md"  # the journal entry, replaced at every checkpoint
    NOTE = "note.md"  # the user's note
    TITLE = "title.json"  # the user's title
    LOCK = "run.lock"  # locked while a process trains the run
    TRAINER_ADDRESS = "trainer.json"  # where a detached trainer listens
    TRAINER_SOCKET = "trainer.sock"
    TRAINER_LOG = "trainer.log"  # the standard error of a detached trainer


CHECKPOINT_SUFFIX = ".safetensors"
CHECKPOINT_NAME = re.compile(rf"step-(\d{{1,15}}){re.escape(CHECKPOINT_SUFFIX)}")


def checkpoint_name(step: int) -> str:
    """The file name of the checkpoint of a step."""
    return f"step-{step}{CHECKPOINT_SUFFIX}"


def is_run(folder: Path) -> bool:
    """Whether `folder` has a run.json. Raises: OSError, ValueError for a path that cannot be looked at."""
    return (folder / RunFile.INFO).is_file()


class DataInfo(ConfigStruct, frozen=True):
    """The training text: enough to recognise it and to create it again."""

    name: str
    sha256: str
    n_bytes: int
    command: str
    notes: tuple[str, ...] = ()


class RunInfo(ConfigStruct, frozen=True):
    """The content of run.json. `created` is local time with its offset, ISO 8601.

    `bytes_per_token` (of the validation windows) converts nats per token to bits per byte. `command` is a
    shell command that repeats the training, empty if there is none.
    """

    format: int
    created: str
    config: RunConfig
    parameters: int
    bytes_per_token: float
    data: DataInfo
    command: str
    versions: dict[str, str]
    machine: str
    blas: str


def read_info(path: Path) -> RunInfo:
    """Read run.json of the folder `path`.

    Raises: RunError if it is missing, foreign, damaged or of a newer format, or if the folder contains links:
    a run folder received from others must be safe to read, train and delete.
    """
    require_utf8(path, RunError)
    require_no_links(path, RunError)
    require_no_links(path / RunFile.CHECKPOINTS, RunError)
    info = read_record(path / RunFile.INFO, RunInfo, FORMAT, MAX_RECORD_BYTES)
    if info is None:
        raise RunError(f"{path} is not a run folder: it has no {RunFile.INFO}")
    return info


ProgressState = Literal["training", "paused", "stopped", "finished", "failed"]


class Progress(ConfigStruct, frozen=True, kw_only=True):
    """A run as of its newest checkpoint: the content of progress.json.

    `elapsed_s` counts training only; `wall_s` also pauses and everything else, over all `sittings` (a sitting
    is one process training the run). `peak_rss_mib` is the most memory that a training process used.
    `machine` and `threads` are those of the newest sitting. `message` says why a run failed.
    """

    format: int = FORMAT
    state: ProgressState
    step: int
    train_loss: float | None
    val_loss: float | None
    elapsed_s: float
    wall_s: float
    peak_rss_mib: float
    sittings: int
    machine: str
    threads: int
    message: str = ""


def write_progress(folder: Path, progress: Progress) -> None:
    """Raises: RunError."""
    path = folder / RunFile.PROGRESS
    with reraise_os_errors(RunError, f"write {path}"):
        write_atomically(path, msgspec.json.encode(progress) + b"\n")


def read_progress(folder: Path) -> Progress | None:
    """The content of progress.json; None before the first checkpoint.

    Raises: RunError if it is damaged or of a newer format.
    """
    return read_record(folder / RunFile.PROGRESS, Progress, FORMAT, MAX_RECORD_BYTES)
