"""The progress bars of the command line, on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from femtotui.core.events import EvalDone, Event, RunFailed, RunFinished, RunStarted, ScoreDone, StepDone

from ..text.formats import duration
from ..trainer.headless import result_line
from .options import say

_SECONDS_BETWEEN_FRAMES = 0.2
_SMOOTHING = 0.95
_BAR_WIDTH = 16
_SPARE_COLUMNS = 6
"""For the spaces between, and for the ^C of a terminal, which would otherwise begin a new line."""


class TrainingBar:
    """Losses, time, speed and memory on one line, as far as there is room; drawn between steps."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            BarColumn(bar_width=_BAR_WIDTH),
            TextColumn("{task.fields[numbers]}", markup=False),
            console=self._console,
            auto_refresh=False,
        )
        self._task = self._progress.add_task("training", total=None, numbers="")
        self._steps = 0
        self._due = 0.0
        self._loss: float | None = None
        self._ms = 0.0
        self._validation = ""

    def show(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._steps = event.config.train.steps
                self._progress.update(self._task, total=self._steps, completed=event.step)
                self._progress.start()
            case StepDone():
                self._note_step(event)
            case EvalDone():
                self._validation = f" val {event.val_loss:.4f}"
            case ScoreDone(thorough=True):
                self._progress.stop()
                say(event.summary)
            case RunFinished():
                self._progress.update(self._task, completed=event.step)
                self._progress.stop()
                print(result_line(event), flush=True)
            case RunFailed():
                self._progress.stop()
            case _:
                pass

    def close(self) -> None:
        self._progress.stop()

    def _note_step(self, step: StepDone) -> None:
        self._loss = step.loss if self._loss is None else _blend(self._loss, step.loss)
        self._ms = _blend(self._ms, step.ms) if self._ms else step.ms
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _SECONDS_BETWEEN_FRAMES
        parts = (
            f"loss {self._loss:.4f}{self._validation}",
            f"{duration((self._steps - step.step) * self._ms / 1000)} left",
            f"{self._ms:.1f} ms/step",
            f"{duration(step.elapsed_s)} so far",
            f"{step.rss_mib:.0f} MiB",
        )
        room = self._console.width - _BAR_WIDTH - 2 * len(f"{self._steps:,}") - _SPARE_COLUMNS
        self._progress.update(self._task, completed=step.step, numbers=_fitting(parts, room))
        self._progress.refresh()


class DownloadBar:
    """Bytes received, for as long as a download lasts; use it in a `with`."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("downloading"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("download", total=None)

    def __enter__(self) -> Callable[[int, int], None]:
        self._progress.start()
        return self._moved

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _moved(self, received: int, total: int) -> None:
        self._progress.update(self._task, completed=received, total=total or None)


def _blend(before: float, now: float) -> float:
    return _SMOOTHING * before + (1 - _SMOOTHING) * now


def _fitting(parts: Sequence[str], room: int) -> str:
    """As many of `parts`, the first ones first, as fit into `room` characters."""
    line = parts[0]
    for part in parts[1:]:
        if len(line) + len(part) + 3 > room:
            break
        line = f"{line} · {part}"
    return line
