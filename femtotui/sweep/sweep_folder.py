"""A sweep on disk: what was asked for, and what has come home.

sweep.json       the spec and every run's resolved settings; written once
outcomes.jsonl   a line for each run that is home, or failed
table.md, table.csv   the same for people and spreadsheets, replaced with every line
"""

from __future__ import annotations

import secrets
from bisect import bisect_right
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from femtotui.core.config import ConfigStruct
from femtotui.core.errors import RunError
from femtotui.core.files import os_error_words, read_limited, read_record, write_atomically
from femtotui.core.run_folder.info import read_progress
from femtotui.core.run_folder.logs import read_scores, read_steps

from .messages import Outcome, State
from .spec import SweepError, SweepSpec, SweepTrial
from .sweep_table import csv_table, markdown_table

FORMAT = 1
FOLDER_NAME = "sweeps"

_MAX_BYTES = 256 * 2**20


class SweepInfo(ConfigStruct, frozen=True):
    """What sweep.json holds. `created` is local time with its offset, ISO 8601."""

    format: int
    created: str
    versions: str
    spec: SweepSpec
    trials: tuple[SweepTrial, ...]


class SweepFolder:
    """One sweep on disk, in `runs`/sweeps; its runs lie in `runs` like all others."""

    def __init__(self, path: Path, info: SweepInfo) -> None:
        self.path, self.info = path, info
        self._outcomes = {outcome.index: outcome for outcome in read_outcomes(path)}

    @classmethod
    def create(cls, runs: Path, info: SweepInfo) -> SweepFolder:
        """Raises: SweepError."""
        stamp = datetime.now(UTC).astimezone().strftime("%Y%m%d-%H%M%S")
        path = runs / FOLDER_NAME / f"{stamp}-{secrets.token_hex(3)}"
        try:
            path.mkdir(parents=True)
            write_atomically(path / "sweep.json", msgspec.json.format(msgspec.json.encode(info)) + b"\n")
        except OSError as error:
            raise SweepError(f"cannot make a sweep in {runs}: {os_error_words(error)}") from error
        return cls(path, info)

    @classmethod
    def open(cls, path: Path) -> SweepFolder:
        """Raises: SweepError for a folder that is no sweep, damaged or of a newer format."""
        try:
            info = read_record(path / "sweep.json", SweepInfo, FORMAT, _MAX_BYTES)
        except RunError as error:
            raise SweepError(str(error)) from error
        if info is None:
            raise SweepError(f"{path} is no sweep: it has no sweep.json")
        return cls(path, info)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def runs(self) -> Path:
        """Where its runs come home to."""
        return self.path.parent.parent

    @property
    def outcomes(self) -> list[Outcome]:
        """What there is of each run, in the order of the sweep."""
        return [self._outcomes[index] for index in sorted(self._outcomes)]

    def missing(self) -> list[SweepTrial]:
        """The runs that have not ended."""
        return [trial for trial in self.info.trials if trial.index not in self._outcomes]

    def add(self, outcome: Outcome) -> None:
        """Notes what became of a run. Raises: SweepError."""
        self._outcomes[outcome.index] = outcome
        lines = b"".join(msgspec.json.encode(known) + b"\n" for known in self.outcomes)
        spec, trials = self.info.spec, self.info.trials
        try:
            write_atomically(self.path / "outcomes.jsonl", lines)
            markdown = markdown_table(trials, self.outcomes, spec.rank_by)
            write_atomically(self.path / "table.md", markdown.encode())
            write_atomically(self.path / "table.csv", csv_table(trials, self.outcomes, spec.rank_by).encode())
        except OSError as error:
            raise SweepError(f"cannot write {self.path}: {os_error_words(error)}") from error


def find_sweep(runs: Path, name: str) -> SweepFolder:
    """The sweep that a person means: its name, a part of it, or `latest`. Raises: SweepError."""
    folder = runs / FOLDER_NAME
    names: list[str] = []
    with suppress(OSError):
        names = sorted((path.parent.name for path in folder.glob("*/sweep.json")), reverse=True)
    if not names:
        raise SweepError(f"there are no sweeps in {folder}")
    matching = names[:1] if name == "latest" else [other for other in names if name and name in other]
    if len(matching) != 1:
        raise SweepError(f"`{name}` is {len(matching)} of the sweeps in {folder}: {', '.join(names[:5])}")
    return SweepFolder.open(folder / matching[0])


def read_outcomes(folder: Path) -> list[Outcome]:
    """The outcomes that are noted in a sweep's folder; lines that are torn or foreign are passed over."""
    found = []
    with suppress(OSError, ValueError):
        for line in read_limited(folder / "outcomes.jsonl", _MAX_BYTES).splitlines():
            with suppress(ValueError, RecursionError):
                found.append(msgspec.json.decode(line, type=Outcome))
    return found


def read_outcome(index: int, folder: Path, worker: str, state: State) -> Outcome:
    """The figures of a run at its newest checkpoint. Raises: RunError if nothing was saved."""
    progress = read_progress(folder)
    if progress is None:
        raise RunError(f"{folder} was never saved")
    scores = [score for score in read_scores(folder) if score.step <= progress.step]
    last = scores[-1] if scores else None
    success_step = next((score.step for score in scores if score.verdict == "success"), None)
    return Outcome(
        index=index,
        state=state,
        worker=worker,
        step=progress.step,
        train_loss=progress.train_loss,
        val_loss=progress.val_loss,
        score=last.score if last else None,
        unit=last.unit if last else "",
        success_step=success_step,
        success_s=None if success_step is None else _elapsed_at(folder, success_step),
        elapsed_s=progress.elapsed_s,
        run=folder.name,
    )


def _elapsed_at(folder: Path, step: int) -> float | None:
    """Seconds of training until a step was done."""
    steps = list(read_steps(folder))
    at = bisect_right(steps, step, key=lambda row: row.step)
    return steps[at - 1].elapsed_s if at else None
