"""RunFolder: one run on disk, created, opened, locked, appended to and checkpointed.

Nothing of a run lives only in memory. See `info.RunFile` for the files.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from numpy.typing import NDArray

from .. import machine
from ..config import RunConfig
from ..errors import CheckpointError, NoCheckpointError, RunError
from ..events import CheckpointSaved, EvalDone, Event, SampleDone, ScoreDone, StepDone
from ..files import (
    own_folder,
    read_limited,
    remove_leftovers,
    require_utf8,
    reraise_os_errors,
    write_atomically,
)
from .checkpoint import Checkpoint, load_checkpoint, read_config, save_checkpoint
from .info import CHECKPOINT_NAME, FORMAT, DataInfo, RunFile, RunInfo, checkpoint_name, read_info
from .lock import RunLock
from .logs import HEADERS, RowFile, cut_rows, read_evals

if TYPE_CHECKING:
    from ..tokenizers import Tokenizer
    from ..training.batches import Source

_MAX_TOKENIZER_BYTES = 64 * 1024 * 1024
_VERSIONED_PACKAGES = ("femtotui", "numpy", "tokenizers", "safetensors")


class RunFolder:
    """One run on disk. Made by `create` or `open`; then appended to, by one process at a time."""

    def __init__(self, path: Path, info: RunInfo) -> None:
        self.path = path
        self.info = info
        self._rows = {file: RowFile(path / file) for file in HEADERS}
        self._lock: RunLock | None = None

    @property
    def config(self) -> RunConfig:
        return self.info.config

    @classmethod
    def create(
        cls,
        runs: Path,
        config: RunConfig,
        tokenizer: Tokenizer,
        source: Source,
        bytes_per_token: float,
        command: str = "",
    ) -> RunFolder:
        """Create `<runs>/<date>-<preset>-<short id>/` for a configuration whose vocabulary is known.

        For `bytes_per_token` and `command` see RunInfo.

        Raises: RunError.
        """
        now = datetime.now(UTC).astimezone()
        versions = {"python": platform.python_version()}
        for package in _VERSIONED_PACKAGES:
            with suppress(importlib.metadata.PackageNotFoundError):
                versions[package] = importlib.metadata.version(package)
        info = RunInfo(
            format=FORMAT,
            created=now.isoformat(timespec="seconds"),
            config=config,
            parameters=config.model.n_parameters,
            bytes_per_token=bytes_per_token,
            data=DataInfo(
                name=source.name,
                sha256=source.sha256,
                n_bytes=len(source.train) + len(source.validation),
                command=source.command,
                notes=source.notes,
            ),
            command=command,
            versions=versions,
            machine=machine.describe_machine(),
            blas=machine.blas_description(),
        )
        slug = re.sub(r"[^A-Za-z0-9_]+", "-", config.preset).strip("-")[:40] or "run"
        name = f"{now:%Y%m%d-%H%M%S}-{slug}-{secrets.token_hex(3)}"
        return cls._created(runs, name, info, tokenizer)

    def recreated(self, tokenizer: Tokenizer) -> RunFolder:
        """This run, whose folder is gone, in a new locked folder beside it, with the unwritten rows.

        Raises: RunError.
        """
        name = f"{self.path.name}-{secrets.token_hex(2)}"
        new = self._created(self.path.parent, name, self.info, tokenizer)
        new.lock()
        for file_name, old in self._rows.items():
            for line in old.waiting:
                new._rows[file_name].append(line)
        return new

    @classmethod
    def _created(cls, runs: Path, name: str, info: RunInfo, tokenizer: Tokenizer) -> RunFolder:
        path = runs / name
        require_utf8(runs, RunError)
        with reraise_os_errors(RunError, f"make a run in {runs}"):
            contents = {
                RunFile.TOKENIZER: tokenizer.to_json().encode(),
                **{file: header.encode() for file, header in HEADERS.items()},
                # Last, so that a folder with a run.json is complete.
                RunFile.INFO: msgspec.json.format(msgspec.json.encode(info), indent=2) + b"\n",
            }
            runs.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            try:
                (path / RunFile.CHECKPOINTS).mkdir()
                for file_name, content in contents.items():
                    write_atomically(path / file_name, content)
            except OSError:
                shutil.rmtree(path, ignore_errors=True)
                raise
        return cls(path, info)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Raises: RunError for a folder that is missing, foreign, damaged or of a newer format."""
        return cls(path, read_info(path))

    def lock(self) -> None:
        """Make this the one process that writes the run, until `unlock` or the end of the process.

        Raises: RunLockedError if another process has it, RunError.
        """
        if self._lock is None:
            self._lock = RunLock(self.path)

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def tokenizer(self) -> Tokenizer:
        """Raises: RunError, TokenizerError."""
        from ..tokenizers import load_tokenizer  # noqa: PLC0415  (slow to import, and listing runs needs none)

        with reraise_os_errors(RunError, f"read the tokenizer of {self.path}"):
            text = read_limited(self.path / RunFile.TOKENIZER, _MAX_TOKENIZER_BYTES).decode()
        return load_tokenizer(text)

    def append(self, event: Event) -> None:
        """Append an event to its file, if it has one; rows reach the disk within about a second.

        Raises: RunError.
        """
        match event:
            case StepDone():
                self._rows[RunFile.METRICS].append(
                    f"{event.step},{event.loss},{event.lr},{event.grad_norm},"
                    f"{event.ms:.3f},{event.elapsed_s:.4f},{event.rss_mib:.1f}"
                )
                return
            case EvalDone():
                row = f"{event.step},{event.val_loss},{event.train_loss},{event.elapsed_s:.4f}"
                self._rows[RunFile.EVALS].append(row)
            case SampleDone() | ScoreDone():
                file = RunFile.SAMPLES if isinstance(event, SampleDone) else RunFile.SCORES
                self._rows[file].append(msgspec.json.encode(event).decode())
            case _:
                return
        self.flush()

    def flush(self, *, to_disk: bool = False) -> None:
        """Write all rows appended so far. Raises: RunError."""
        for file in self._rows.values():
            file.flush(to_disk=to_disk)

    def evaluations(self) -> list[EvalDone]:
        """The evaluations that are on disk."""
        return list(read_evals(self.path))

    def cut_after(self, step: int) -> None:
        """Remove what was written after the checkpoint of `step`, and leftovers of a killed process.

        Raises: RunError.
        """
        remove_leftovers(self.path)
        remove_leftovers(self.checkpoint_folder)
        cut_rows(self.path, step)

    @property
    def checkpoint_folder(self) -> Path:
        """Raises: RunError if it has become a link to a folder elsewhere."""
        path = self.path / RunFile.CHECKPOINTS
        with reraise_os_errors(RunError, f"use {path}"):
            return own_folder(path)

    def checkpoints(self) -> dict[int, Path]:
        """The existing checkpoints by step."""
        found: dict[int, Path] = {}
        with suppress(OSError, RunError), os.scandir(self.checkpoint_folder) as entries:
            for entry in entries:
                name = CHECKPOINT_NAME.fullmatch(entry.name)
                if name and entry.is_file(follow_symlinks=False):
                    found[int(name[1])] = Path(entry.path)
        return found

    def checkpoint_paths(self) -> list[Path]:
        """The existing checkpoints, newest first."""
        return [path for _, path in sorted(self.checkpoints().items(), reverse=True)]

    def best_checkpoint(self) -> Path | None:
        """Of the checkpoints whose step was evaluated, the one with the lowest validation loss."""
        existing = self.checkpoints()
        evaluated = [e for e in self.evaluations() if e.step in existing]
        best = min(evaluated, key=lambda e: e.val_loss, default=None)
        return None if best is None else existing[best.step]

    def find_checkpoint(self, which: str) -> Path:
        """The checkpoint named `latest`, `best` or by its step. Raises: CheckpointError."""
        existing = self.checkpoints()
        if which == "best":
            found = self.best_checkpoint()
        elif which == "latest":
            found = existing[max(existing)] if existing else None
        else:
            found = existing.get(int(which)) if which.isdecimal() and len(which) < 16 else None
        if found is not None:
            return found
        if not existing:
            raise NoCheckpointError(f"{self.path} has no checkpoint yet")
        steps = ", ".join(map(str, sorted(existing)))
        raise CheckpointError(
            f"{self.path.name} has no checkpoint `{which}`: there are `latest`, `best` and steps {steps}"
        )

    def save(self, tensors: Mapping[str, NDArray[Any]], step: int, elapsed_s: float) -> CheckpointSaved:
        """Save the complete state, rows first: a checkpoint is never ahead of the metrics.

        Raises: RunError, CheckpointError.
        """
        begin = time.perf_counter()
        self.flush(to_disk=True)
        path = self.checkpoint_folder / checkpoint_name(step)
        save_checkpoint(path, tensors, step=step, elapsed_s=elapsed_s, config=self.config)
        self.remove_old_checkpoints()
        return CheckpointSaved(step=step, path=str(path), ms=(time.perf_counter() - begin) * 1000)

    def remove_old_checkpoints(self) -> None:
        """Remove all but the last few, whose number is a setting, and the best."""
        train = self.config.train
        best = self.best_checkpoint() if train.keep_best else None
        _remove(path for path in self.checkpoint_paths()[train.keep_checkpoints :] if path != best)

    def make_room(self) -> bool:
        """Remove all checkpoints but the newest; False if there was none to remove."""
        older = self.checkpoint_paths()[1:]
        _remove(older)
        return bool(older)

    def require_own_checkpoint(self) -> None:
        """Check that some checkpoint was made with the settings of run.json, before memory is allocated for a
        model of their size.

        Raises: CheckpointError if the newest is damaged, RunError if it is another run's.
        """
        problem: CheckpointError | RunError | None = None
        for path in self.checkpoint_paths():
            try:
                if read_config(path) == self.config:
                    return
                error: CheckpointError | RunError = RunError(
                    f"{RunFile.INFO} in {self.path} does not belong to {path.name}: their settings differ, "
                    "so one of them is damaged or another run's"
                )
            except CheckpointError as damage:
                error = damage
            problem = problem or error
        raise problem or NoCheckpointError(f"{self.path} has no checkpoint yet: start a new run")

    def load_newest(self, expected: Mapping[str, NDArray[Any]]) -> tuple[Checkpoint, tuple[str, ...]]:
        """The newest undamaged checkpoint, and notes for the user about newer ones.

        Those are damaged: they are renamed, not deleted.

        Raises: CheckpointError about the newest if all are damaged.
        """
        damaged: dict[Path, CheckpointError] = {}
        for path in self.checkpoint_paths():
            try:
                loaded = load_checkpoint(path, expected, self.config.model)
            except CheckpointError as error:
                damaged[path] = error
                continue
            for bad in damaged:
                with suppress(OSError):
                    bad.rename(bad.with_name(f"{bad.name}.damaged"))
            return loaded, tuple(
                f"{problem}; it was set aside, and training continues from step {loaded.step:,}"
                for problem in damaged.values()
            )
        raise next(
            iter(damaged.values()), NoCheckpointError(f"{self.path} has no checkpoint yet: start a new run")
        )


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink()
