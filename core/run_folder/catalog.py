"""Listing runs without loading them, damaged ones included, and finding one by name."""

from __future__ import annotations

import difflib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..config import RunConfig
from ..errors import RunError
from ..files import open_own, reraise_os_errors
from .folder import RunFolder
from .info import RunFile, RunInfo, is_run, read_info
from .lock import LockHolder, holder_of
from .logs import csv_step

_TAIL_BYTES = 4096
_MOST_OPENED = 50
"""Most runs to open in search of one, while the user waits."""


@dataclass(frozen=True)
class RunSummary:
    """A run at a glance. For a damaged one `info` is None and `problem` says why.

    `holder` is the process that is training it now. `loss` is the training loss of the last step written,
    `val_loss` the last validation loss.
    """

    path: Path
    info: RunInfo | None
    problem: str = ""
    step: int = 0
    loss: float | None = None
    val_loss: float | None = None
    elapsed_s: float = 0.0
    checkpoint_step: int | None = None
    holder: LockHolder | None = None

    @property
    def config(self) -> RunConfig:
        """Raises: RunError for a damaged run."""
        if self.info is None:
            raise RunError(self.problem)
        return self.info.config

    @property
    def finished(self) -> bool:
        """Whether all its steps are done and saved."""
        return self.info is not None and (self.checkpoint_step or 0) >= self.info.config.train.steps

    @property
    def can_continue(self) -> bool:
        """Whether it can be resumed now."""
        saved = self.info is not None and self.checkpoint_step is not None
        return saved and not self.finished and self.holder is None


def list_runs(runs: Path, most: int | None = None) -> list[RunSummary]:
    """Every run in `runs`, or the newest `most`, newest first. Other folders are left out.

    Raises: RunError only if `runs` itself cannot be read; a folder that does not exist holds no runs.
    """
    return [summarise(runs / name) for name in run_names(runs)[:most]]


def run_names(runs: Path) -> list[str]:
    """The names of every run in `runs`, newest first. Raises: as `list_runs`."""
    names: list[str] = []
    with reraise_os_errors(RunError, f"read the runs folder {runs}"), suppress(FileNotFoundError):
        names = [path.name for path in runs.iterdir() if _looks_like_a_run(path)]
    return sorted(names, reverse=True)


def summarise(path: Path) -> RunSummary:
    """A run at a glance; whatever cannot be read keeps its default."""
    try:
        info = read_info(path)
    except RunError as error:
        return RunSummary(path, None, problem=str(error))
    metrics = _last_row(path / RunFile.METRICS)
    evals = _last_row(path / RunFile.EVALS)
    return RunSummary(
        path,
        info,
        step=int(_number(metrics, 0) or 0),
        loss=_number(metrics, 1),
        val_loss=_number(evals, 1),
        elapsed_s=_number(metrics, 5) or 0.0,
        checkpoint_step=max(RunFolder(path, info).checkpoints(), default=None),
        holder=holder_of(path),
    )


def unfinished_run(runs: Path, preset: str) -> RunSummary | None:
    """The newest run of a preset if it can be resumed or is being trained; None if it is finished."""
    try:
        names = sorted((path.name for path in runs.iterdir() if f"-{preset}-" in path.name), reverse=True)
    except OSError:
        return None
    for name in names[:_MOST_OPENED]:
        run = summarise(runs / name)
        if run.info is not None and run.info.config.preset == preset:
            return run if run.can_continue or run.holder is not None else None
    return None


def find_run(runs: Path, name: str) -> Path:
    """The run called `name`: a path, a name in `runs`, an unambiguous part of one, or `latest`.

    Raises: RunError, suggesting the nearest.
    """
    given = Path(name)
    with suppress(OSError, ValueError, RuntimeError):
        given = given.expanduser()
        if is_run(given):
            return given.absolute()
        if name not in ("", ".", "..") and is_run(runs / name):
            return runs / name
    names = run_names(runs)
    if not names:
        raise RunError(f"there is no run `{name}`: {runs} holds no runs yet")
    if name == "latest":
        return runs / names[0]
    matching = [other for other in names if name and name in other]
    if len(matching) == 1:
        return runs / matching[0]
    if matching:
        raise RunError(
            f"`{name}` could be {len(matching)} runs, such as {matching[0]} and {matching[1]}: say more"
        )
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
    raise RunError(f"there is no run `{name}` in {runs}; the nearest is {nearest}")


def _looks_like_a_run(path: Path) -> bool:
    try:
        return (path / RunFile.INFO).exists() or ((path / RunFile.METRICS).exists() and path.is_dir())
    except OSError:
        return False


def _last_row(path: Path) -> list[str]:
    """The cells of the last complete row; empty if there is none."""
    try:
        with open(path, "rb", opener=open_own) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read(_TAIL_BYTES).split(b"\n")[:-1]
    except OSError:
        return []
    for line in reversed(lines):
        if csv_step(line) is not None:
            return line.decode(errors="replace").split(",")
    return []


def _number(cells: list[str], column: int) -> float | None:
    with suppress(ValueError, IndexError):
        return float(cells[column])
    return None
