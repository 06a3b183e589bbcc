"""The CSV and JSONL files of a run: buffered appending of whole lines, reading, truncating at a step."""

from __future__ import annotations

import heapq
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from ..errors import RunError
from ..events import EvalDone, Event, SampleDone, ScoreDone, StepDone
from ..files import open_own, replace_atomically, reraise_os_errors
from .info import RunFile

HEADERS = {
    RunFile.METRICS: "step,loss,lr,grad_norm,ms,elapsed_s,rss_mib\n",
    RunFile.EVALS: "step,val_loss,train_loss,elapsed_s\n",
    RunFile.SAMPLES: "",
    RunFile.SCORES: "",
}
"""The files that rows are appended to: CSV with a header, or JSONL."""

FLUSH_SECONDS = 1.0
RETRY_SECONDS = 10.0
"""Delay before appending retries a failed write; a checkpoint retries at once."""

MAX_LINE_BYTES = 1024 * 1024
"""A longer line is damage."""


class RowFile:
    """Appends lines to an existing file, at most about once a second, never half a line.

    The file is opened for each flush and never created, so that a moved or deleted run folder is noticed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[str] = []
        self._due = time.monotonic() + FLUSH_SECONDS

    def append(self, line: str) -> None:
        """Append a line (without its newline). Raises: RunError when a flush that is due fails."""
        self._lines.append(line)
        if time.monotonic() >= self._due:
            self.flush()

    def flush(self, *, to_disk: bool = False) -> None:
        """Write the buffered lines; with `to_disk` they survive a power cut. Raises: RunError."""
        data = "".join(f"{line}\n" for line in self._lines).encode()
        self._due = time.monotonic() + RETRY_SECONDS
        with (
            reraise_os_errors(RunError, f"write {self._path}"),
            open(self._path, "r+b", buffering=0, opener=open_own) as file,
        ):
            if data:
                _append_whole(file, data)
            self._lines.clear()
            if to_disk:
                os.fsync(file.fileno())
        self._due = time.monotonic() + FLUSH_SECONDS

    @property
    def waiting(self) -> tuple[str, ...]:
        """Lines that are not on disk yet."""
        return tuple(self._lines)


def _append_whole(file: BinaryIO, data: bytes) -> None:
    end = file.seek(0, os.SEEK_END)
    try:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
    except OSError:
        with suppress(OSError):
            file.truncate(end)
        raise


def csv_step(line: bytes) -> int | None:
    """The step of a metrics or evals row; None for an incomplete or foreign line (such as the header)."""
    first, comma, _ = line.partition(b",")
    return int(first) if comma and first.isdigit() and len(first) < 16 else None


def _jsonl_step(line: bytes) -> int | None:
    """The step of a line of samples or scores; None for an incomplete or foreign one."""
    with suppress(ValueError, RecursionError):
        row = json.loads(line)
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            return int(row["step"])
    return None


def cut_rows(folder: Path, last_step: int) -> None:
    """Keep each file's complete rows up to `last_step`, in ascending order of step, replacing it atomically.

    Removes what a killed process left (rows after its last checkpoint, half a line) and, from CSV files,
    repeated rows of a step; creates missing files.

    Raises: RunError.
    """
    for name, header in HEADERS.items():
        path = folder / name
        with reraise_os_errors(RunError, f"write {path}"), replace_atomically(path) as kept:
            kept.write(header.encode())
            if path.exists():
                kept.writelines(_rows_up_to(path, last_step, is_csv=bool(header)))


def _rows_up_to(path: Path, last_step: int, *, is_csv: bool) -> Iterator[bytes]:
    least, step_of = 0, csv_step if is_csv else _jsonl_step
    with open(path, "rb", opener=open_own) as file:
        while line := file.readline(MAX_LINE_BYTES):
            step = step_of(line) if line.endswith(b"\n") else None
            if step is not None and least <= step <= last_step:
                least = step + 1 if is_csv else step
                yield line


def read_history(folder: Path, last_step: int) -> Iterator[Event]:
    """The steps, evaluations and scores of a run up to `last_step`, in order.

    Incomplete or foreign rows and missing files are skipped.
    """
    streams: tuple[Iterator[StepDone | EvalDone | ScoreDone], ...] = (
        read_steps(folder),
        read_evals(folder),
        read_scores(folder),
    )
    # The merge is stable: a step comes before its evaluation.
    for event in heapq.merge(*streams, key=lambda event: event.step):
        if event.step > last_step:
            return
        yield event


def read_steps(folder: Path) -> Iterator[StepDone]:
    """The complete rows of metrics.csv in a run folder."""
    return _csv_events(folder, RunFile.METRICS, StepDone)


def read_evals(folder: Path) -> Iterator[EvalDone]:
    """The complete rows of evals.csv whose validation loss is finite."""
    rows = _csv_events(folder, RunFile.EVALS, EvalDone)
    return (row for row in rows if math.isfinite(row.val_loss))


def read_scores(folder: Path) -> Iterator[ScoreDone]:
    """The complete lines of scores.jsonl."""
    scores = _json_events(folder / RunFile.SCORES, ScoreDone)
    return (score for score in scores if math.isfinite(score.score))


def read_samples(folder: Path) -> Iterator[SampleDone]:
    """The complete lines of samples.jsonl."""
    return _json_events(folder / RunFile.SAMPLES, SampleDone)


_Row = TypeVar("_Row", bound=StepDone | EvalDone)
_Line = TypeVar("_Line", bound=SampleDone | ScoreDone)


def _csv_events(folder: Path, file: RunFile, kind: type[_Row]) -> Iterator[_Row]:
    """The rows of a CSV file whose columns are the fields of an event."""
    _, *names = HEADERS[file].strip().split(",")
    for line in _lines(folder / file):
        with suppress(ValueError):
            step, *cells = line.split(b",")
            yield kind(step=int(step), **dict(zip(names, map(float, cells), strict=True)))


def _json_events(path: Path, kind: type[_Line]) -> Iterator[_Line]:
    decode: Callable[[bytes], _Line] = msgspec.json.Decoder(kind).decode
    for line in _lines(path):
        with suppress(ValueError, RecursionError):
            yield decode(line)


def _lines(path: Path) -> Iterator[bytes]:
    with suppress(OSError), open(path, "rb", opener=open_own) as file:
        while line := file.readline(MAX_LINE_BYTES):
            if line.endswith(b"\n"):
                yield line
