"""A sweep without a screen: a progress bar for people, lines for logs, JSON for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from ..sweep.coordinator import SweepEvent, SweepNotice
from ..sweep.messages import Outcome, SweepReport
from ..sweep.spec import differing_names
from ..sweep.sweep_folder import SweepFolder
from ..sweep.sweep_table import ranked
from ..text.formats import UNKNOWN, duration, loss
from .options import say

_EVENTS = {SweepReport: "run_reported", Outcome: "run_ended", SweepNotice: "remark"}


class SweepFace(Protocol):
    """Shows what happens in a sweep."""

    def show(self, event: SweepEvent) -> None: ...


@contextmanager
def sweep_face(folder: SweepFolder, *, as_json: bool) -> Iterator[SweepFace]:
    """The face that fits where the output goes."""
    if as_json:
        yield JsonLines()
    elif sys.stderr.isatty():
        with SweepBar(folder) as bar:
            yield bar
    else:
        yield PlainLines(folder)


class JsonLines:
    """One JSON object a line on standard output; `event` says which kind."""

    def show(self, event: SweepEvent) -> None:
        row = {"event": _EVENTS[type(event)], **msgspec.to_builtins(event)}
        sys.stdout.buffer.write(msgspec.json.encode(row) + b"\n")
        sys.stdout.buffer.flush()


class PlainLines:
    """A line for every run that ends."""

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder

    def show(self, event: SweepEvent) -> None:
        if isinstance(event, SweepNotice):
            say(f"note: {event.text}")
        elif isinstance(event, Outcome):
            say(outcome_line(self._folder, event))


def outcome_line(folder: SweepFolder, outcome: Outcome) -> str:
    """What became of a run, on one line."""
    names, trial = differing_names(folder.info.trials), folder.info.trials[outcome.index]
    settings = ", ".join(f"{name} {value}" for name, value in trial.differing().items() if name in names)
    ended = f"{len(folder.outcomes)}/{len(folder.info.trials)}"
    if outcome.state == "failed":
        return f"{ended} failed: {settings}: {outcome.reason}"
    words = (
        f"{ended} {outcome.state}: {settings}: validation {loss(outcome.val_loss)} at step {outcome.step:,}"
    )
    return f"{words} ({outcome.note})" if outcome.note else words


class SweepBar:
    """How many runs have ended, how much is left, and the best so far, on one line; ended runs above it."""

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder
        self._lines = PlainLines(folder)
        self._pace = SweepPace(folder)
        self._progress = Progress(
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} runs"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[numbers]}", markup=False),
            console=Console(stderr=True),
            auto_refresh=False,
        )
        self._task = self._progress.add_task(
            "sweep", total=len(folder.info.trials), numbers="starting workers"
        )

    def __enter__(self) -> SweepBar:
        self._progress.start()
        self._progress.refresh()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, event: SweepEvent) -> None:
        self._pace.note(event)
        if not isinstance(event, SweepReport):
            self._lines.show(event)
        best = next(iter(ranked(self._folder.outcomes, self._folder.info.spec.rank_by)), None)
        parts = [
            f"{self._pace.steps_per_s:,.0f} steps/s",
            f"{duration(self._pace.seconds_left)} left",
            f"best {loss(best.val_loss) if best else UNKNOWN}",
        ]
        self._progress.update(self._task, completed=len(self._folder.outcomes), numbers=" · ".join(parts))
        self._progress.refresh()


class SweepPace:
    """Steps a second of all runs together, and how long the rest will take at that."""

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder
        self._begun: float | None = None
        self._at: dict[int, int] = {}
        self._before: dict[int, int] = {}

    def note(self, event: SweepEvent) -> None:
        if isinstance(event, SweepReport):
            self._begun = self._begun or time.monotonic()
            self._before.setdefault(event.index, event.step)
            self._at[event.index] = event.step
        elif isinstance(event, Outcome) and event.index in self._at:
            self._at[event.index] = max(self._at[event.index], event.step)

    @property
    def steps_per_s(self) -> float:
        seconds = time.monotonic() - self._begun if self._begun else 0.0
        done = sum(step - self._before[index] for index, step in self._at.items())
        return done / seconds if seconds else 0.0

    @property
    def seconds_left(self) -> float:
        """Not a number before anything is known."""
        left = sum(t.config.train.steps - self._at.get(t.index, 0) for t in self._folder.missing())
        return left / self.steps_per_s if self.steps_per_s else float("nan")
