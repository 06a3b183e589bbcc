"""The checkpoints in a run folder: which there are, which one is meant, which one is whole."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import CheckpointError, RunError
from ..files import os_error_words, own_folder
from . import checkpoint as checkpoints
from . import logs as rows
from .info import CHECKPOINTS_NAME, RunInfo

EVALS_NAME = "evals.csv"

_CHECKPOINT_NAME = re.compile(r"step-(\d{1,15})\.safetensors")


class RunCheckpoints:
    """What a run folder holds of checkpoints; they are written by `RunFolder.save`."""

    def __init__(self, path: Path, info: RunInfo) -> None:
        self.path = path
        self.info = info

    def remove_old_checkpoints(self) -> None:
        """Removes all but the last few, whose number is a setting, and the best."""
        kept = self.info.config.train.keep_checkpoints
        best = self.best_checkpoint() if self.info.config.train.keep_best else None
        for old in self.checkpoint_paths()[kept:]:
            if old != best:
                with suppress(OSError):
                    old.unlink()

    def make_room(self) -> bool:
        """Removes all checkpoints but the newest; False if there was none to remove."""
        older = self.checkpoint_paths()[1:]
        for path in older:
            with suppress(OSError):
                path.unlink()
        return bool(older)

    def checkpoint_paths(self) -> list[Path]:
        """The checkpoints there are, newest first."""
        return [path for _, path in sorted(self._checkpoints().items(), reverse=True)]

    def best_checkpoint(self) -> Path | None:
        """Of the checkpoints whose step was evaluated, the one of the lowest validation loss."""
        there = self._checkpoints()
        evaluated = [e for e in rows.read_evals(self.path / EVALS_NAME) if e.step in there]
        best = min(evaluated, key=lambda e: e.val_loss, default=None)
        return None if best is None else there[best.step]

    @property
    def checkpoint_folder(self) -> Path:
        """Where they lie. Raises: RunError if that has become a link to a folder elsewhere."""
        path = self.path / CHECKPOINTS_NAME
        try:
            return own_folder(path)
        except OSError as error:
            raise RunError(f"cannot use {path}: {os_error_words(error)}") from error

    def _checkpoints(self) -> dict[int, Path]:
        found: dict[int, Path] = {}
        with suppress(OSError, RunError), os.scandir(self.checkpoint_folder) as entries:
            for entry in entries:
                name = _CHECKPOINT_NAME.fullmatch(entry.name)
                if name and entry.is_file(follow_symlinks=False):
                    found[int(name[1])] = Path(entry.path)
        return found

    def find_checkpoint(self, which: str) -> Path:
        """The checkpoint that is meant by `latest`, `best` or a step's number. Raises: CheckpointError."""
        there = self._checkpoints()
        if which == "best":
            found = self.best_checkpoint()
        elif which == "latest":
            found = there[max(there)] if there else None
        else:
            found = there.get(int(which)) if which.isdecimal() and len(which) < 16 else None
        if found is None:
            steps = ", ".join(map(str, sorted(there)))
            raise CheckpointError(
                f"{self.path.name} has no checkpoint `{which}`: there are `latest`, `best` and steps {steps}"
                if there
                else f"{self.path} has no checkpoint yet"
            )
        return found

    def require_own_checkpoint(self) -> None:
        """That a checkpoint there is was made with the very settings of run.json: before any memory is taken
        for a model of their size.

        Raises: CheckpointError with what is wrong with the newest, RunError if it is another run's.
        """
        problem: CheckpointError | RunError | None = None
        for path in self.checkpoint_paths():
            try:
                if checkpoints.read_config(path) == self.info.config:
                    return
                error: CheckpointError | RunError = RunError(
                    f"run.json in {self.path} does not belong to {path.name}: their settings differ, so one "
                    "of them is damaged or another run's"
                )
            except CheckpointError as damage:
                error = damage
            problem = problem or error
        raise problem or CheckpointError(f"{self.path} has no checkpoint yet: start a new run")

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
                loaded = checkpoints.load_checkpoint(path, expected, self.info.config.model)
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
