"""The state of one run, folded from its events: numbers only, no screen.

A `RunState` outlives its trainer: a parked, finished or failed run keeps its last numbers and its curve.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING

from femtotui.core.config import RunConfig
from femtotui.core.events import (
    AnyEvent,
    CheckpointSaved,
    EvalDone,
    Paused,
    Resumed,
    RunFailed,
    RunFinished,
    RunStarted,
    SavingFailed,
    ScoreDone,
    StepDone,
    StepInspected,
)

if TYPE_CHECKING:
    from ..chart.series import Floats

SMOOTHING_STEPS = 20
"""The loss on the panel is the mean of this many steps, as in `RunFinished.train_loss`."""

SPEED_STEPS = 50
"""Speed and time left come from this many steps, so that they follow a machine that gets busy."""


KEPT_INSPECTIONS = 200
"""Steps measured from within that are kept: some 10 kB each at 6 layers."""


class Status(Enum):
    """The status of a run. The header shows the value."""

    STARTING = "starting"
    TRAINING = "training"
    PAUSED = "paused"
    PARKED = "parked"
    FINISHED = "finished"
    FAILED = "failed"


class RunState:
    """One run, as its events describe it.

    `curve` holds the training losses, raw and smoothed, in the arrays that charts draw from, `history` what
    else is known of every step; `inspected` are steps measured from within, the newest last; `evals` are
    (step, validation loss), `scores` the results of the run's evaluator. Losses are in nats per token, memory
    in MiB, `elapsed_s` in seconds of training. `version` counts changes. `folder` is where the run lies
    before its trainer says so, `forecast_mib` the memory that was expected of it.
    """

    def __init__(self, config: RunConfig) -> None:
        # NumPy: after the first trainer is spawned.
        from ..chart.quantities import StepHistory  # noqa: PLC0415
        from ..chart.series import LossSeries  # noqa: PLC0415

        self.config = config
        self.status = Status.STARTING
        self.started: RunStarted | None = None
        self.failure: RunFailed | None = None
        self.finished: RunFinished | None = None
        self.step = 0
        self.elapsed_s = 0.0
        self.checkpoint_step: int | None = None
        self.trouble = ""
        self.rss_mib = 0.0
        self.total_mib = 0.0
        self.peak_mib = 0.0
        self.forecast_mib = 0.0
        self.folder: str | None = None
        self.scores: list[ScoreDone] = []
        self.evals: list[tuple[int, float]] = []
        self.inspected: deque[StepInspected] = deque(maxlen=KEPT_INSPECTIONS)
        self.curve = LossSeries()
        self.history = StepHistory()
        self.version = 0
        self._new_steps: list[StepDone] = []
        self._recent: deque[StepDone] = deque(maxlen=SPEED_STEPS)

    # -- folding ---------------------------------------------------------------------------------------

    def fold(self, events: Iterable[AnyEvent]) -> None:
        """Apply a batch of events, in order."""
        for event in events:
            self._fold_one(event)
        self._extend_curve()
        self.version += 1

    def set_status(self, status: Status) -> None:
        """Change the status ahead of the events that will confirm it."""
        self.status = status
        self.version += 1

    def _fold_one(self, event: AnyEvent) -> None:
        match event:
            case StepDone():
                self._add_step(event)
            case EvalDone():
                self.evals.append((event.step, event.val_loss))
            case RunStarted():
                self._begin(event)
            case Paused():
                self.status = Status.PAUSED
            case Resumed():
                self.status = Status.TRAINING
            case CheckpointSaved():
                self.checkpoint_step, self.trouble = event.step, ""
            case SavingFailed():
                self.trouble = event.message
            case RunFinished():
                self.finished = event
                self.elapsed_s = event.elapsed_s
                self.status = Status.FINISHED if event.reason == "finished" else Status.PARKED
            case RunFailed():
                self.failure = event
                self.status = Status.FAILED
            case ScoreDone():
                self.scores.append(event)
            case StepInspected():
                self.inspected.append(event)
            case _:  # a SampleDone is for the run folder
                pass

    def _begin(self, event: RunStarted) -> None:
        self.started, self.failure, self.finished = event, None, None
        self.config = event.config
        self.step, self.elapsed_s, self.rss_mib = event.step, event.elapsed_s, event.rss_mib
        self.checkpoint_step = event.step if event.resumed else None
        self.status = Status.TRAINING
        self._recent.clear()
        self._forget_after(event.step)

    def _forget_after(self, step: int) -> None:
        """Drop what lies after `step`: a run resumed from a checkpoint goes over those steps again."""
        self._extend_curve()
        self.curve.forget_after(step)
        self.history.forget_after(step)
        while self.inspected and self.inspected[-1].step > step:
            self.inspected.pop()
        self.evals = [(at, value) for at, value in self.evals if at <= step]
        self.scores = [score for score in self.scores if score.step <= step]

    def _add_step(self, event: StepDone) -> None:
        if event.step <= self.step:  # a sweep's worker resumed from a checkpoint
            self._forget_after(event.step - 1)
        self.step, self.elapsed_s, self.rss_mib = event.step, event.elapsed_s, event.rss_mib
        self._new_steps.append(event)
        self._recent.append(event)

    def _extend_curve(self) -> None:
        """Append the steps of a batch in one go."""
        new, self._new_steps = self._new_steps, []
        if new:
            rows = [(e.step, e.elapsed_s, e.lr, e.grad_norm, e.ms) for e in new]
            steps, elapsed_s, *others = zip(*rows, strict=True)
            self.curve.extend(steps, [event.loss for event in new], elapsed_s)
            self.history.extend(steps, elapsed_s, *others)

    def record_memory(self, app_mib: float) -> None:
        """Add the app's memory to the trainer's, as long as there is a trainer."""
        if self.status in {Status.TRAINING, Status.PAUSED}:
            self.total_mib = self.rss_mib + app_mib
            self.peak_mib = max(self.peak_mib, self.total_mib)

    def trainer_lost(self, code: int, stderr: str) -> None:
        """The trainer process ended; a surprise unless the run had finished, parked or failed already."""
        if self.status in {Status.FINISHED, Status.PARKED, Status.FAILED}:
            return
        last_line = next((line for line in reversed(stderr.splitlines()) if line.strip()), "")
        because = f": {last_line.strip()}" if last_line else f" (exit code {code})"
        self.failure = RunFailed(
            step=self.step, title="The trainer stopped", message=f"its process ended{because}", run=self.run
        )
        self.set_status(Status.FAILED)

    # -- reading ---------------------------------------------------------------------------------------

    @property
    def steps(self) -> Floats:
        """The step of every point of the curve."""
        return self.curve.steps

    @property
    def losses(self) -> Floats:
        """The training loss at each of those steps, in nats per token."""
        return self.curve.losses

    @property
    def seconds(self) -> Floats:
        """The seconds of training at each of those steps."""
        return self.curve.elapsed_s

    @property
    def run(self) -> str | None:
        """The run folder, once there is one."""
        if self.started is not None:
            return self.started.run
        return self.failure.run if self.failure is not None and self.failure.run else self.folder

    @property
    def can_recover(self) -> bool:
        """Whether the run failed and left a checkpoint to resume from."""
        return self.status is Status.FAILED and self.run is not None and self.checkpoint_step is not None

    @property
    def total_steps(self) -> int:
        return self.config.train.steps

    @property
    def parameters(self) -> int | None:
        return self.started.parameters if self.started is not None else None

    @property
    def smoothed_loss(self) -> float | None:
        """The mean training loss of the last `SMOOTHING_STEPS` steps."""
        if self.finished is not None:
            return self.finished.train_loss
        last = self.losses[-SMOOTHING_STEPS:].tolist()
        return math.fsum(last) / len(last) if last else None

    @property
    def val_loss(self) -> float | None:
        return self.evals[-1][1] if self.evals else None

    @property
    def score(self) -> ScoreDone | None:
        """The newest score of the run's evaluator."""
        return self.scores[-1] if self.scores else None

    @property
    def ms_per_step(self) -> float | None:
        """Milliseconds per step, over the last `SPEED_STEPS` steps."""
        if not self._recent:
            return None
        return math.fsum(event.ms for event in self._recent) / len(self._recent)

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens trained on per second, from the same steps."""
        ms = self.ms_per_step
        return self.config.train.batch * self.config.model.context / ms * 1000 if ms else None

    def recent_speeds(self) -> list[float]:
        """Tokens per second over the newest 12 stretches of 20 steps, oldest first."""
        groups, steps = 12, 20
        tokens = self.config.train.batch * self.config.model.context * steps
        seconds = self.seconds[::-1][: groups * steps + 1 : steps][::-1].tolist()
        spans = [after - before for before, after in pairwise(seconds)]
        return [tokens / span if span > 0 else math.nan for span in spans]

    @property
    def left_s(self) -> float | None:
        """Seconds to the last step at the recent speed, with whatever else happens between the steps."""
        if self.status is Status.FINISHED:
            return 0.0
        if len(self._recent) < 2:
            return None
        first, last = self._recent[0], self._recent[-1]
        pace = (last.elapsed_s - first.elapsed_s) / max(1, last.step - first.step)
        return max(0.0, pace * (self.total_steps - self.step))

    @property
    def lr(self) -> float | None:
        return self._recent[-1].lr if self._recent else None

    @property
    def grad_norm(self) -> float | None:
        return self._recent[-1].grad_norm if self._recent else None
