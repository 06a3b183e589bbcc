"""The run folder: what is where. Nothing of a run lives only in memory.

    run.json            configuration, versions, machine, data (RunInfo); written once
    tokenizer.json      the tokenizer
    metrics.csv         a row a step
    evals.csv           a row an evaluation
    samples.jsonl       a line a sample
    checkpoints/        step-N.safetensors, the last few

Every file is either appended in whole lines or replaced in one move.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from numpy.typing import NDArray

from . import checkpoint as checkpoints
from . import machine, rows
from .config import RunConfig, Settings
from .errors import CheckpointError, ConfigError, RunError
from .events import CheckpointSaved, EvalDone, Event, SampleDone, StepDone
from .files import os_error_words, read_limited, remove_leftovers, write_atomically

if TYPE_CHECKING:
    from .data import Source
    from .tokenizer import Tokenizer

FORMAT = 1
KEPT_CHECKPOINTS = 3

METRICS_HEADER = "step,loss,lr,grad_norm,ms,elapsed_s,rss_mib"
EVALS_HEADER = "step,val_loss,train_loss,elapsed_s"

_MAX_INFO_BYTES = 4 * 1024 * 1024
_MAX_TOKENIZER_BYTES = 64 * 1024 * 1024
_CHECKPOINT_NAME = re.compile(r"step-(\d{1,15})\.safetensors")
_VERSIONED_PACKAGES = ("femtotui", "numpy", "tokenizers", "safetensors")


class DataInfo(Settings, frozen=True):
    """The text that a run trains on: enough to recognise it, and to make it again."""

    name: str
    sha256: str
    n_bytes: int
    command: str
    notes: tuple[str, ...] = ()


class RunInfo(Settings, frozen=True):
    """What run.json holds. `created` is local time with its offset, ISO 8601."""

    format: int
    created: str
    config: RunConfig
    parameters: int
    data: DataInfo
    versions: dict[str, str]
    machine: str
    blas: str


class RunFolder:
    """One run on disk. Made by `create` or `open`; then appended to, one process at a time."""

    def __init__(self, path: Path, info: RunInfo) -> None:
        self.path = path
        self.info = info
        self._metrics = rows.RowFile(path / "metrics.csv")
        self._evals = rows.RowFile(path / "evals.csv")
        self._samples = rows.RowFile(path / "samples.jsonl")

    @property
    def config(self) -> RunConfig:
        return self.info.config

    @classmethod
    def create(cls, runs: Path, config: RunConfig, tokenizer: Tokenizer, source: Source) -> RunFolder:
        """Makes `<runs>/<date>-<preset>-<short id>/` for a configuration whose vocabulary is known.

        Raises: RunError.
        """
        info = _describe_run(config, source)
        path = runs / _new_name(config.preset)
        try:
            runs.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            try:
                (path / "checkpoints").mkdir()
                for name, text in _first_contents(info, tokenizer).items():
                    write_atomically(path / name, text)
            except OSError:
                shutil.rmtree(path, ignore_errors=True)
                raise
        except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
            words = os_error_words(error) if isinstance(error, OSError) else str(error)
            raise RunError(f"cannot make a run in {runs}: {words}") from error
        return cls(path, info)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Raises: RunError for a folder that is not there, foreign, damaged or of a newer format."""
        return cls(path, read_info(path))

    def tokenizer(self) -> Tokenizer:
        """Raises: RunError, TokenizerError."""
        from .tokenizer import load_tokenizer  # noqa: PLC0415  (slow to import, and listing runs needs none)

        try:
            text = read_limited(self.path / "tokenizer.json", _MAX_TOKENIZER_BYTES).decode()
        except (OSError, ValueError) as error:
            words = os_error_words(error) if isinstance(error, OSError) else str(error)
            raise RunError(f"cannot read the tokenizer of {self.path}: {words}") from error
        return load_tokenizer(text)

    # -- rows ------------------------------------------------------------------------------------------

    def append(self, event: Event) -> None:
        """Notes an event that has a file of its own; rows reach the disk within about a second.

        Raises: RunError.
        """
        match event:
            case StepDone():
                self._metrics.append(
                    f"{event.step},{event.loss},{event.lr},{event.grad_norm},"
                    f"{event.ms:.3f},{event.elapsed_s:.4f},{event.rss_mib:.1f}"
                )
            case EvalDone():
                self._evals.append(f"{event.step},{event.val_loss},{event.train_loss},{event.elapsed_s:.4f}")
                self.flush()
            case SampleDone():
                self._samples.append(msgspec.json.encode(event).decode())
                self.flush()
            case _:
                pass

    def flush(self, *, to_disk: bool = False) -> None:
        """Writes all rows noted so far. Raises: RunError."""
        for file in (self._metrics, self._evals, self._samples):
            file.flush(to_disk=to_disk)

    def cut_after(self, step: int) -> None:
        """Removes what was written after the checkpoint of `step`, and what a killed process left half done.

        Raises: RunError.
        """
        remove_leftovers(self.path)
        remove_leftovers(self.path / "checkpoints")
        rows.cut_rows(self.path / "metrics.csv", step, rows.csv_step, header=METRICS_HEADER)
        rows.cut_rows(self.path / "evals.csv", step, rows.csv_step, header=EVALS_HEADER)
        rows.cut_rows(self.path / "samples.jsonl", step, rows.jsonl_step, unique=False)

    # -- checkpoints -----------------------------------------------------------------------------------

    def save(self, tensors: Mapping[str, NDArray[Any]], step: int, elapsed_s: float) -> CheckpointSaved:
        """Saves the whole state, rows first: a checkpoint never knows more steps than the metrics do.

        Raises: RunError, CheckpointError.
        """
        begin = time.perf_counter()
        self.flush(to_disk=True)
        path = self.path / "checkpoints" / f"step-{step}.safetensors"
        checkpoints.save_checkpoint(path, tensors, step=step, elapsed_s=elapsed_s, config=self.config)
        for old in self.checkpoint_paths()[KEPT_CHECKPOINTS:]:
            with suppress(OSError):
                old.unlink()
        return CheckpointSaved(step=step, path=str(path), ms=(time.perf_counter() - begin) * 1000)

    def checkpoint_paths(self) -> list[Path]:
        """The checkpoints there are, newest first."""
        found: list[tuple[int, Path]] = []
        with suppress(OSError):
            for path in (self.path / "checkpoints").iterdir():
                if name := _CHECKPOINT_NAME.fullmatch(path.name):
                    found.append((int(name[1]), path))
        return [path for _, path in sorted(found, reverse=True)]

    def load_newest(
        self, expected: Mapping[str, NDArray[Any]]
    ) -> tuple[checkpoints.Checkpoint, tuple[str, ...]]:
        """The newest checkpoint that is whole, and what to tell of newer ones.

        Those are damaged: they are set aside under another name, not deleted.

        Raises: CheckpointError if none is whole, with what is wrong with the newest.
        """
        damaged: dict[Path, CheckpointError] = {}
        for path in self.checkpoint_paths():
            try:
                loaded = checkpoints.load_checkpoint(path, expected, self.config.model)
            except CheckpointError as error:
                damaged[path] = error
                continue
            return loaded, tuple(
                f"{problem}; it was set aside, and training goes on from step {loaded.step:,}"
                for problem in _set_aside(damaged)
            )
        if damaged:
            raise next(iter(damaged.values()))
        raise CheckpointError(f"{self.path} has no checkpoint yet: start a new run")


def _set_aside(damaged: dict[Path, CheckpointError]) -> list[CheckpointError]:
    for path in damaged:
        with suppress(OSError):
            path.rename(path.with_name(f"{path.name}.damaged"))
    return list(damaged.values())


def read_info(path: Path) -> RunInfo:
    """What run.json in the folder `path` says.

    Raises: RunError for a folder that is not there, foreign, damaged or of a newer format.
    """
    try:
        text = read_limited(path / "run.json", _MAX_INFO_BYTES)
        found = msgspec.json.decode(text, type=_AnyFormat).format
        if found > FORMAT:
            raise RunError(
                f"{path} was written by a newer femtotui (format {found}): update femtotui to open it"
            )
        return msgspec.json.decode(text, type=RunInfo)
    except FileNotFoundError as error:
        raise RunError(f"{path} is not a run folder: it has no run.json") from error
    except OSError as error:
        raise RunError(f"cannot read {path}: {os_error_words(error)}") from error
    except (ConfigError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise RunError(f"run.json in {path} is damaged: {error}") from error


class _AnyFormat(msgspec.Struct):
    format: int


def _describe_run(config: RunConfig, source: Source) -> RunInfo:
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


def _new_name(preset: str) -> str:
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", preset).strip("-")[:40] or "run"
    stamp = datetime.now(UTC).astimezone().strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{slug}-{secrets.token_hex(3)}"


def _first_contents(info: RunInfo, tokenizer: Tokenizer) -> dict[str, bytes]:
    return {
        "tokenizer.json": tokenizer.to_json().encode(),
        "metrics.csv": f"{METRICS_HEADER}\n".encode(),
        "evals.csv": f"{EVALS_HEADER}\n".encode(),
        "samples.jsonl": b"",
        # Last, so that a folder with a run.json is a whole one.
        "run.json": msgspec.json.format(msgspec.json.encode(info), indent=2) + b"\n",
    }
