"""What a run's files say of its past, as the events that were written there."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from .events import EvalDone, Event, SampleDone, ScoreDone, StepDone
from .files import open_own
from .rows import MAX_LINE_BYTES, read_evals

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
