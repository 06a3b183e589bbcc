"""Several trainings that answer one question together: what each has done, and one after another, the rest.

A lane is one training, in the folder that `trials` gives its settings, so that `femtotui reproduce` and the
app go on with each other's. No Textual in here; whoever shows it calls `take` now and then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from femtotui.core.config import RunConfig
from femtotui.core.errors import FemtoError
from femtotui.core.events import ScoreDone
from femtotui.presets import Goal

from ..runs.handle import RunHandle, TrainerFactory
from ..runs.library import load_state
from ..runs.manager import RunManager
from ..runs.state import RunState, Status
from ..text.formats import UNKNOWN, Tone, duration, loss
from .trials import reaches, trial_folder, trial_run


class Trial:
    """One training of a contest. `second_to` is the lane that it tries again for longer, if that missed."""

    def __init__(
        self,
        name: str,
        config: RunConfig,
        runs: Path,
        factory: TrainerFactory,
        second_to: Trial | None = None,
    ) -> None:
        self.name, self.config, self.second_to = name, config, second_to
        self.elsewhere = False
        self.problem = ""
        self._runs = runs
        # A manager of its own: it knows how to begin, park and continue one run, and to end its trainer.
        self._desk = RunManager(trial_folder(config, runs), factory)
        self._ours = False

    @property
    def _place(self) -> RunHandle | None:
        return self._desk.handles.get(self.config.preset)

    @property
    def view(self) -> RunState | None:
        """What is known of the training; None before it began."""
        return self._place.state if self._place is not None else None

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
            self._desk.adopt(load_state(run))

    def start(self) -> None:
        """Begin it, or go on with what there is of it."""
        self._ours = True
        if self._place is None:
            self._desk.start(self.config)
        else:
            self._desk.resume_run(self.config.preset)

    def take(self) -> bool:
        """Fold what its trainer said; whether that was anything."""
        return self._desk.collect().changed

    def stop(self) -> None:
        """Let its trainer save and end, in the background."""
        self._desk.park()

    def close(self) -> None:
        """The same, and wait."""
        self._desk.close()


@dataclass(frozen=True)
class Reference:
    """What was written down before: a row above those of the lanes. Units as in RunState."""

    name: str
    step: int | None
    loss: float
    seconds: float | None
    verdict: str


class Experiment:
    """A question, its lanes in the order in which they are trained, and what the answer is measured by.

    `answer` is said below the table, in sentences; `preset_key` names the preset whose landmarks the chart
    shows.
    """

    def __init__(
        self,
        key: str,
        title: str,
        lanes: Sequence[Trial],
        *,
        preset_key: str | None = None,
        goal: Goal | None = None,
        noted: Reference | None = None,
        answer: tuple[str, ...] = (),
    ) -> None:
        self.key, self.title, self.lanes = key, title, tuple(lanes)
        self.preset_key, self.goal, self.noted, self.answer = preset_key, goal, noted, answer
        self.running = False

    def reached(self, lane: Trial) -> bool:
        """Whether a lane's model does what success means."""
        return self.goal is not None and lane.score is not None and reaches(self.goal, lane.score)

    def unneeded(self, lane: Trial) -> bool:
        """Whether a shorter try has succeeded already."""
        return lane.second_to is not None and self.reached(lane.second_to)

    @property
    def current(self) -> Trial | None:
        """The lane that is being trained from here."""
        return next((lane for lane in self.lanes if lane.trains), None)

    @property
    def next_lane(self) -> Trial | None:
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


COLUMNS = ("run", "step", "loss", "validation", "score", "time", "verdict")
_GAP = "  "


@dataclass(frozen=True)
class ExperimentRow:
    """The cells of a line, and the tone of its last one."""

    cells: tuple[str, ...]
    tone: Tone = "plain"


def contest_rows(contest: Experiment) -> list[ExperimentRow]:
    """Every lane as it stands; losses in nats a token, times of training."""
    rows = [_noted_row(contest.noted)] if contest.noted is not None else []
    return rows + [_lane_row(contest, lane) for lane in contest.lanes]


def table_lines(rows: list[ExperimentRow], width: int) -> Iterator[tuple[str, str, Tone]]:
    """Each line in two parts, the last cell on its own with its tone; the header first.

    Where there is no room for all columns, validation goes first, and then the times.
    """
    dropped: set[int] = set()
    for spare in (3, 5, 1):
        if _total(rows, dropped) <= width:
            break
        dropped.add(spare)
    kept = [at for at in range(len(COLUMNS)) if at not in dropped]
    widths = {at: max(len(COLUMNS[at]), *(len(row.cells[at]) for row in rows)) for at in kept}
    for row in (ExperimentRow(COLUMNS), *rows):
        first = _GAP.join(row.cells[at].ljust(widths[at]) for at in kept[:-1]) + _GAP
        yield first, row.cells[kept[-1]], row.tone


def _total(rows: list[ExperimentRow], dropped: set[int]) -> int:
    kept = [at for at in range(len(COLUMNS)) if at not in dropped]
    widths = (max(len(COLUMNS[at]), *(len(row.cells[at]) for row in rows)) for at in kept)
    return sum(widths) + len(_GAP) * (len(kept) - 1)


def _noted_row(noted: Reference) -> ExperimentRow:
    step = f"{noted.step:,}" if noted.step is not None else UNKNOWN
    time = duration(noted.seconds) if noted.seconds is not None else UNKNOWN
    is_validation = noted.verdict == "validation"
    shown = (UNKNOWN, loss(noted.loss)) if is_validation else (loss(noted.loss), UNKNOWN)
    verdict = UNKNOWN if is_validation else noted.verdict
    return ExperimentRow((noted.name, step, *shown, UNKNOWN, time, verdict), _verdict_tone(verdict))


def _lane_row(contest: Experiment, lane: Trial) -> ExperimentRow:
    view, (verdict, tone) = lane.view, _standing(contest, lane)
    if view is None:
        return ExperimentRow((lane.name, f"{lane.config.train.steps:,}", *([UNKNOWN] * 4), verdict), tone)
    step = f"{view.step:,}" if lane.done else f"{view.step:,} of {view.total_steps:,}"
    figures = (loss(view.smoothed_loss), loss(view.val_loss), _score(lane), duration(view.elapsed_s))
    return ExperimentRow((lane.name, step, *figures, verdict), tone)


def _score(lane: Trial) -> str:
    score = lane.score
    if score is None:
        return UNKNOWN
    return f"{score.score:.1%}" if score.unit == "share" else f"{score.score:.3f} bits"


def _standing(contest: Experiment, lane: Trial) -> tuple[str, Tone]:
    """The verdict on a lane, or why there is none yet."""
    if lane.done:
        return _judged(contest, lane)
    if lane.trains:
        return _left(lane.view), "good"
    if lane.failed:
        return "broke off", "error"
    if contest.unneeded(lane):
        return "not needed", "plain"
    if lane.elsewhere:
        return "trained elsewhere", "warning"
    return ("stopped", "warning") if lane.view is not None and lane.view.step else ("not yet", "plain")


def _judged(contest: Experiment, lane: Trial) -> tuple[str, Tone]:
    if contest.goal is None:
        return "finished", "good"
    if not contest.reached(lane):
        return "fail", "error"
    slow = lane.view is not None and lane.view.elapsed_s > contest.goal.seconds
    return (f"success, over {duration(contest.goal.seconds)}", "warning") if slow else ("success", "good")


def _left(view: RunState | None) -> str:
    if view is None or view.status is Status.STARTING or view.left_s is None:
        return "starting"
    return f"{duration(view.left_s)} left"


def _verdict_tone(verdict: str) -> Tone:
    return {"success": "good", "fail": "error"}.get(verdict, "plain")  # type: ignore[return-value]
