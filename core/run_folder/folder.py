"""The run folder: what is where. Nothing of a run lives only in memory.

    run.json            configuration, versions, machine, data (RunInfo); written once
    tokenizer.json      the tokenizer
    metrics.csv         a row a step
    evals.csv           a row an evaluation
    samples.jsonl       a line a sample
    scores.jsonl        a line a score of the run's evaluator
    checkpoints/        step-N.safetensors: the last few, and the best by validation
    progress.json       how far it is, replaced at every checkpoint (Progress)
    entry.md            the journal entry, replaced at every checkpoint
    note.md             the author's note; written by people only
    run.lock            held while a process trains the run

Every file is either appended in whole lines or replaced in one move. The format version in run.json holds
for the CSV and JSONL files, too, whose columns and fields it fixes; the other files carry their own.
"""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from numpy.typing import NDArray

from ..config import RunConfig
from ..errors import RunError
from ..events import CheckpointSaved, EvalDone, Event, SampleDone, ScoreDone, StepDone
from ..files import os_error_words, read_limited, remove_leftovers, require_utf8, write_atomically
from . import checkpoint as checkpoints
from . import logs as rows
from .checkpoint_list import EVALS_NAME, RunCheckpoints
from .info import CHECKPOINTS_NAME, FORMAT, DataInfo, RunInfo, describe_run, read_info
from .lock import RunLock

if TYPE_CHECKING:
    from ..tokenizers.tokenizer import Tokenizer
    from ..training.batches import Source

__all__ = ["FORMAT", "DataInfo", "RunFolder", "RunInfo", "read_info"]

METRICS_HEADER = "step,loss,lr,grad_norm,ms,elapsed_s,rss_mib"
EVALS_HEADER = "step,val_loss,train_loss,elapsed_s"

_MAX_TOKENIZER_BYTES = 64 * 1024 * 1024


class RunFolder(RunCheckpoints):
    """One run on disk. Made by `create` or `open`; then appended to, one process at a time."""

    def __init__(self, path: Path, info: RunInfo) -> None:
        super().__init__(path, info)
        self._metrics = rows.RowFile(path / "metrics.csv")
        self._evals = rows.RowFile(path / EVALS_NAME)
        self._samples = rows.RowFile(path / "samples.jsonl")
        self._scores = rows.RowFile(path / "scores.jsonl")
        self._lock: RunLock | None = None

    @property
    def config(self) -> RunConfig:
        return self.info.config

    @classmethod
    def create(cls, runs: Path, config: RunConfig, tokenizer: Tokenizer, source: Source) -> RunFolder:
        """Makes `<runs>/<date>-<preset>-<short id>/` for a configuration whose vocabulary is known.

        Raises: RunError.
        """
        return cls._made(runs, _new_name(config.preset), describe_run(config, source), tokenizer)

    def made_anew(self, tokenizer: Tokenizer) -> RunFolder:
        """The same run in a new folder beside the old one, which is gone, locked, with the rows that wait.

        Raises: RunError.
        """
        name = f"{self.path.name}-{secrets.token_hex(2)}"
        anew = self._made(self.path.parent, name, self.info, tokenizer)
        anew.lock()
        for theirs, ours in zip(anew._row_files, self._row_files, strict=True):
            for line in ours.waiting:
                theirs.append(line)
        return anew

    @classmethod
    def _made(cls, runs: Path, name: str, info: RunInfo, tokenizer: Tokenizer) -> RunFolder:
        path = runs / name
        require_utf8(runs, RunError)
        try:
            runs.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            try:
                (path / CHECKPOINTS_NAME).mkdir()
                for file_name, text in _first_contents(info, tokenizer).items():
                    write_atomically(path / file_name, text)
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

    def lock(self) -> None:
        """Makes this the one process that writes the run, until `unlock` or its end.

        Raises: RunError if another is.
        """
        if self._lock is None:
            self._lock = RunLock(self.path)

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def tokenizer(self) -> Tokenizer:
        """Raises: RunError, TokenizerError."""
        from ..tokenizers.tokenizer import load_tokenizer  # noqa: PLC0415  (slow to import, and listing runs needs none)

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
            case ScoreDone():
                self._scores.append(msgspec.json.encode(event).decode())
                self.flush()
            case _:
                pass

    def flush(self, *, to_disk: bool = False) -> None:
        """Writes all rows noted so far. Raises: RunError."""
        for file in self._row_files:
            file.flush(to_disk=to_disk)

    @property
    def _row_files(self) -> tuple[rows.RowFile, ...]:
        return self._metrics, self._evals, self._samples, self._scores

    def evaluations(self) -> list[EvalDone]:
        """The evaluations that are written."""
        return list(rows.read_evals(self.path / EVALS_NAME))

    def cut_after(self, step: int) -> None:
        """Removes what was written after the checkpoint of `step`, and what a killed process left half done.

        Raises: RunError.
        """
        remove_leftovers(self.path)
        remove_leftovers(self.checkpoint_folder)
        rows.cut_rows(self.path / "metrics.csv", step, rows.csv_step, header=METRICS_HEADER)
        rows.cut_rows(self.path / EVALS_NAME, step, rows.csv_step, header=EVALS_HEADER)
        rows.cut_rows(self.path / "samples.jsonl", step, rows.jsonl_step, unique=False)
        rows.cut_rows(self.path / "scores.jsonl", step, rows.jsonl_step, unique=False)

    # -- checkpoints -----------------------------------------------------------------------------------

    def save(self, tensors: Mapping[str, NDArray[Any]], step: int, elapsed_s: float) -> CheckpointSaved:
        """Saves the whole state, rows first: a checkpoint never knows more steps than the metrics do.

        Raises: RunError, CheckpointError.
        """
        begin = time.perf_counter()
        self.flush(to_disk=True)
        path = self.checkpoint_folder / f"step-{step}.safetensors"
        checkpoints.save_checkpoint(path, tensors, step=step, elapsed_s=elapsed_s, config=self.config)
        self.remove_old_checkpoints()
        return CheckpointSaved(step=step, path=str(path), ms=(time.perf_counter() - begin) * 1000)


def _new_name(preset: str) -> str:
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", preset).strip("-")[:40] or "run"
    stamp = datetime.now(UTC).astimezone().strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{slug}-{secrets.token_hex(3)}"


def _first_contents(info: RunInfo, tokenizer: Tokenizer) -> dict[str, bytes]:
    return {
        "tokenizer.json": tokenizer.to_json().encode(),
        "metrics.csv": f"{METRICS_HEADER}\n".encode(),
        EVALS_NAME: f"{EVALS_HEADER}\n".encode(),
        "samples.jsonl": b"",
        "scores.jsonl": b"",
        # Last, so that a folder with a run.json is a whole one.
        "run.json": msgspec.json.format(msgspec.json.encode(info), indent=2) + b"\n",
    }
