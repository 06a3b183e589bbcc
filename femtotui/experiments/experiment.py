"""Several trainings that answer one question together: what each has done, and one after another, the rest.

A lane is one training, in the folder that `trials` gives its settings, so that `femtotui reproduce` and the
app go on with each other's. No Textual in here; whoever shows it calls `take` now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from femtotui.core.config import RunConfig
from femtotui.core.errors import FemtoError
from femtotui.core.events import ScoreDone
from femtotui.presets import Goal

from .desk import Desk, Place, TrainerFactory
from .run_shelf import view_of
from .run_view import RunView, Status
from .trials import reaches, trial_folder, trial_run


class Lane:
    """One training of a contest. `second_to` is the lane that it tries again for longer, if that missed."""

    def __init__(
        self,
        name: str,
        config: RunConfig,
        runs: Path,
        factory: TrainerFactory,
        second_to: Lane | None = None,
    ) -> None:
        self.name, self.config, self.second_to = name, config, second_to
        self.elsewhere = False
        self.problem = ""
        self._runs = runs
        # A desk of its own: it knows how to begin, park and continue one run, and to end its trainer.
        self._desk = Desk(trial_folder(config, runs), factory)
        self._ours = False

    @property
    def _place(self) -> Place | None:
        return self._desk.places.get(self.config.preset)

    @property
    def view(self) -> RunView | None:
        """What is known of the training; None before it began."""
        return self._place.view if self._place is not None else None

    @property
    def score(self) -> ScoreDone | None:
        """What it was judged at its end."""
        score = self.view.score if self.view is not None else None
        return score if score is not None and score.thorough else None

    @property
    def done(self) -> bool:
        """Whether it came to its end and was judged there."""
        finished = self.view is not None and self.view.status is Status.FINISHED
        return finished and (self._ours or self.score is not None)

    @property
    def failed(self) -> bool:
        return self.view is not None and self.view.status is Status.FAILED

    @property
    def trains(self) -> bool:
        """Whether it is being trained from here."""
        moving = {Status.STARTING, Status.TRAINING, Status.PAUSED}
        return self._ours and self.view is not None and self.view.status in moving

    def read(self) -> bool:
        """Look on the disk, unless it is trained from here; whether anything has changed there."""
        if self._ours:
            return False
        before = self._seen()
        try:
            self._read()
            self.problem = ""
        except FemtoError as error:
            self.problem = f"{error.title}: {error}"
        return self._seen() != before

    def _seen(self) -> tuple[int, bool, str, bool]:
        return (self.view.step if self.view else -1, self.elsewhere, self.problem, self.done)

    def _read(self) -> None:
        run = trial_run(self.config, self._runs)
        self.elsewhere = run is not None and run.holder is not None
        if run is None:
            return
        if self.view is None or self.view.step != run.step or (run.finished and not self.done):
            self._desk.adopt(view_of(run))

    def start(self) -> None:
        """Begin it, or go on with what there is of it."""
        self._ours = True
        if self._place is None:
            self._desk.begin(self.config)
        else:
            self._desk.go_on(self.config.preset)

    def take(self) -> bool:
        """Fold what its trainer said; whether that was anything."""
        return self._desk.take().changed

    def stop(self) -> None:
        """Let its trainer save and end, in the background."""
        self._desk.park()

    def close(self) -> None:
        """The same, and wait."""
        self._desk.close()


@dataclass(frozen=True)
class Noted:
    """What was written down before: a row above those of the lanes. Units as in RunView."""

    name: str
    step: int | None
    loss: float
    seconds: float | None
    verdict: str


class Contest:
    """A question, its lanes in the order in which they are trained, and what the answer is measured by.

    `answer` is said below the table, in sentences; `preset_key` names the preset whose landmarks the chart
    shows.
    """

    def __init__(
        self,
        key: str,
        title: str,
        lanes: Sequence[Lane],
        *,
        preset_key: str | None = None,
        goal: Goal | None = None,
        noted: Noted | None = None,
        answer: tuple[str, ...] = (),
    ) -> None:
        self.key, self.title, self.lanes = key, title, tuple(lanes)
        self.preset_key, self.goal, self.noted, self.answer = preset_key, goal, noted, answer
        self.running = False

    def reached(self, lane: Lane) -> bool:
        """Whether a lane's model does what success means."""
        return self.goal is not None and lane.score is not None and reaches(self.goal, lane.score)

    def unneeded(self, lane: Lane) -> bool:
        """Whether a shorter try has succeeded already."""
        return lane.second_to is not None and self.reached(lane.second_to)

    @property
    def current(self) -> Lane | None:
        """The lane that is being trained from here."""
        return next((lane for lane in self.lanes if lane.trains), None)

    @property
    def next_lane(self) -> Lane | None:
        """The first lane with something left to train, if nobody else trains it."""
        left = (lane for lane in self.lanes if not (lane.done or self.unneeded(lane)))
        lane = next(left, None)
        return None if lane is None or lane.elsewhere else lane

    def start(self) -> bool:
        """Train what is left, one lane after another; whether there is anything."""
        if self.current is None and self.next_lane is not None:
            self.running = True
            self._start_next()
        return self.running

    def _start_next(self) -> None:
        lane = self.next_lane
        if lane is None:
            self.running = False
        else:
            lane.start()

    def stop(self) -> None:
        """Save what is being trained, and leave it for later."""
        self.running = False
        for lane in self.lanes:
            lane.stop()

    def read(self) -> bool:
        """Look at the disk again for what is trained elsewhere; whether anything has changed."""
        changes = [lane.read() for lane in self.lanes]
        return any(changes)

    def take(self) -> bool:
        """Fold what the trainers said; after a lane that ended, start the next. Whether that was news."""
        news = [lane.take() for lane in self.lanes]
        if self.running and self.current is None:
            if any(lane.failed for lane in self.lanes):
                self.running = False  # it says why; trying the rest is for a person to decide
            else:
                self._start_next()
            return True
        return any(news)

    def close(self) -> None:
        """End every trainer, each with time to save, and wait."""
        self.running = False
        for lane in self.lanes:
            lane.close()
