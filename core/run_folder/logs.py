"""Files that grow by whole lines: buffered appending, and cutting off what came after a checkpoint."""

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
from ..files import open_own, os_error_words, replace_atomically

FLUSH_SECONDS = 1.0
RETRY_SECONDS = 10.0
"""How soon a row tries again what failed; a checkpoint tries at once."""

MAX_LINE_BYTES = 1024 * 1024
"""A longer line is damage."""


class RowFile:
    """Appends lines to an existing file, at most about once a second, never half a line.

    The file is opened for each flush and never created: if the run folder is moved or deleted, that shows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[str] = []
        self._due = time.monotonic() + FLUSH_SECONDS

    def append(self, line: str) -> None:
        """Adds a line (without its end). Raises: RunError when a flush that is due fails."""
        self._lines.append(line)
        if time.monotonic() >= self._due:
            self.flush()

    def flush(self, *, to_disk: bool = False) -> None:
        """Writes what is buffered; `to_disk` waits until it would survive a power cut. Raises: RunError."""
        self._due = time.monotonic() + FLUSH_SECONDS
        data = "".join(f"{line}\n" for line in self._lines).encode()
        try:
            with open(self._path, "r+b", buffering=0, opener=open_own) as file:
                if data:
                    _append_whole(file, data)
                self._lines.clear()
                if to_disk:
                    os.fsync(file.fileno())
        except OSError as error:
            self._due = time.monotonic() + RETRY_SECONDS
            raise RunError(f"cannot write {self._path}: {os_error_words(error)}") from error

    @property
    def waiting(self) -> tuple[str, ...]:
        """Lines that are not written yet."""
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
    """The step of a metrics or evals row; None for a torn or foreign line (the header is one)."""
    first, comma, _ = line.partition(b",")
    return int(first) if comma and first.isdigit() and len(first) < 16 else None


def jsonl_step(line: bytes) -> int | None:
    """The step of a line of samples; None for a torn or foreign one."""
    with suppress(ValueError, RecursionError):
        row = json.loads(line)
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            return int(row["step"])
    return None


def read_evals(path: Path) -> Iterator[EvalDone]:
    """The rows of evals.csv that are whole and finite; none of a file that is not there."""
    with suppress(OSError), open(path, "rb", opener=open_own) as file:
        while line := file.readline(MAX_LINE_BYTES):
            with suppress(ValueError):
                step, val_loss, train_loss, elapsed_s = line.rstrip(b"\n").split(b",")
                if line.endswith(b"\n") and math.isfinite(float(val_loss)):
                    yield EvalDone(
                        step=int(step),
                        val_loss=float(val_loss),
                        train_loss=float(train_loss),
                        elapsed_s=float(elapsed_s),
                    )


def cut_rows(
    path: Path,
    last_step: int,
    step_of: Callable[[bytes], int | None],
    *,
    header: str = "",
    unique: bool = True,
) -> None:
    """Keeps the whole rows up to `last_step`, in rising order of step, and replaces the file in one move.

    What a killed process left (rows after its last checkpoint, half a line) goes, and with `unique` every
    second row of a step; a missing file is made anew.

    Raises: RunError.
    """
    try:
        with replace_atomically(path) as kept:
            if header:
                kept.write(f"{header}\n".encode())
            if path.exists():
                for line in _rows_up_to(path, last_step, step_of, unique):
                    kept.write(line)
    except OSError as error:
        raise RunError(f"cannot write {path}: {os_error_words(error)}") from error


def _rows_up_to(
    path: Path, last_step: int, step_of: Callable[[bytes], int | None], unique: bool
) -> Iterator[bytes]:
    least = 0
    with open(path, "rb", opener=open_own) as file:
        while line := file.readline(MAX_LINE_BYTES):
            step = step_of(line) if line.endswith(b"\n") else None
            if step is not None and least <= step <= last_step:
                least = step + 1 if unique else step
                yield line


_T = TypeVar("_T", bound=SampleDone | ScoreDone)


def read_history(folder: Path, last_step: int) -> Iterator[Event]:
    """The steps, evaluations and scores of a run up to `last_step`, in their order.

    Rows that are torn or foreign, and files that are not there, are passed over.
    """
    streams: tuple[Iterator[StepDone | EvalDone | ScoreDone], ...] = (
        read_steps(folder / "metrics.csv"),
        read_evals(folder / "evals.csv"),
        read_scores(folder / "scores.jsonl"),
    )
    # Merging is stable: at the same step the step comes first, as it did.
    for event in heapq.merge(*streams, key=lambda event: event.step):
        if event.step > last_step:
            return
        yield event


def read_steps(path: Path) -> Iterator[StepDone]:
    """The rows of metrics.csv that are whole."""
    for line in _lines(path):
        with suppress(ValueError):
            step, loss, lr, grad_norm, ms, elapsed_s, rss_mib = line.split(b",")
            yield StepDone(
                step=int(step),
                loss=float(loss),
                lr=float(lr),
                grad_norm=float(grad_norm),
                ms=float(ms),
                elapsed_s=float(elapsed_s),
                rss_mib=float(rss_mib),
            )


def read_scores(path: Path) -> Iterator[ScoreDone]:
    """The lines of scores.jsonl that are whole."""
    return (score for score in _decoded(path, ScoreDone) if math.isfinite(score.score))


def read_samples(path: Path) -> Iterator[SampleDone]:
    """The lines of samples.jsonl that are whole."""
    return _decoded(path, SampleDone)


def _decoded(path: Path, kind: type[_T]) -> Iterator[_T]:
    decode: Callable[[bytes], _T] = msgspec.json.Decoder(kind).decode
    for line in _lines(path):
        with suppress(ValueError, RecursionError):
            yield decode(line)


def _lines(path: Path) -> Iterator[bytes]:
    with suppress(OSError), open(path, "rb", opener=open_own) as file:
        while line := file.readline(MAX_LINE_BYTES):
            if line.endswith(b"\n"):
                yield line
