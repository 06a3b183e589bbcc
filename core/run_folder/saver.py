"""RunSaver: writes rows, checkpoints, samples, progress and the journal entry of a run while it trains.

A failed write is reported and does not end the training: rows wait in memory, the last good checkpoint stays,
and the next checkpoint tries again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import suppress

from .. import machine
from ..errors import CheckpointError, FemtoError, RunError
from ..evaluators import drawn_bytes, sampler_of
from ..events import CheckpointSaved, EvalDone, Event, SampleDone, SavingFailed
from ..files import is_full
from ..sampling.sampler import JOURNAL_PROMPT, JOURNAL_SAMPLING, JOURNAL_TOKENS
from ..training.training import Training
from .entry import write_entry
from .folder import RunFolder
from .info import Progress, ProgressState, RunFile, read_progress, write_progress
from .logs import read_scores

BEST_SECONDS = 2.0
"""A new best evaluation is saved at once, but not more often than this, in training time."""

_REPORT_SECONDS = 30.0
"""Interval at which the same failure is reported again."""


class RunSaver:
    """Saves `training` into `run`, which is replaced by a new folder if it goes missing."""

    def __init__(self, run: RunFolder, training: Training) -> None:
        self.run = run
        self._training = training
        self.saved_step: int | None = training.step or None
        self._last_try_s = training.elapsed_s
        self._begun = time.monotonic()
        self._before: Progress | None = None
        with suppress(RunError):  # damaged: the figures of this sitting are still true
            self._before = read_progress(run.path)
        evaluations = run.evaluations()
        self.last_evaluation: EvalDone | None = evaluations[-1] if evaluations else None
        self._best_loss = min((row.val_loss for row in evaluations), default=math.inf)
        self._last_report: tuple[str, float] = ("", -math.inf)

    @property
    def is_scored(self) -> bool:
        """Whether an earlier sitting wrote a thorough score of this step."""
        scores = read_scores(self.run.path)
        return any(score.thorough and score.step == self._training.step for score in scores)

    def append(self, event: Event) -> tuple[Event, ...]:
        """Append an event to its file; returns the event, followed by SavingFailed if that failed."""
        if isinstance(event, EvalDone):
            self.last_evaluation = event
        try:
            self.run.append(event)
        except RunError as error:
            return event, *self._failed(error)
        return (event,)

    @property
    def is_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        since = self._training.elapsed_s - self._last_try_s
        return since >= self._training.config.train.checkpoint_seconds

    def is_new_best(self, event: Event) -> bool:
        """Whether this evaluation is the best so far and should be saved now."""
        if not (isinstance(event, EvalDone) and event.val_loss < self._best_loss):
            return False
        if self._training.elapsed_s - self._last_try_s < BEST_SECONDS:
            return False
        self._best_loss = event.val_loss
        return self._training.config.train.keep_best

    def save(self, state: ProgressState = "training", *, asked: bool = False) -> Iterator[Event]:
        """Save everything now. A failed write does not raise but yields SavingFailed, every time if `asked`
        for and else as often as `_failed` reports it.
        """
        try:
            yield from self.save_or_raise(state)
        except FemtoError as error:
            yield from self._failed(error, always=asked)

    def save_or_raise(self, state: ProgressState) -> Iterator[Event]:
        """Raises: RunError, CheckpointError."""
        self._last_try_s = self._training.elapsed_s
        if self.saved_step != self._training.step:
            yield from self._sample()
        yield self.save_state()
        self.write_progress(state)

    def save_state(self) -> CheckpointSaved:
        """Save the checkpoint alone; on a full disk, older ones are removed to make room for it.

        Raises: RunError, CheckpointError.
        """
        training = self._training
        try:
            saved = self.run.save(training.tensors(), training.step, training.elapsed_s)
        except CheckpointError as error:
            if not (is_full(error.__cause__) and self.run.make_room()):
                raise
            saved = self.run.save(training.tensors(), training.step, training.elapsed_s)
        self.saved_step = training.step
        return saved

    def _sample(self) -> Iterator[Event]:
        training = self._training
        if training.step == 0:
            return
        with suppress(FemtoError):  # a char vocabulary may have no newline
            sampler, prompt, seed = sampler_of(training), JOURNAL_PROMPT, JOURNAL_SAMPLING.seed
            text = drawn_bytes(sampler, prompt, JOURNAL_TOKENS, JOURNAL_SAMPLING).decode(errors="replace")
            sample = SampleDone(step=training.step, prompt=prompt.decode(), text=text, seed=seed)
            self.run.append(sample)
            yield sample

    def begin(self) -> Iterator[Event]:
        """Update progress.json of a run that is being resumed."""
        if self.saved_step is not None:
            try:
                self.write_progress("training")
            except RunError as error:
                yield from self._failed(error)

    def write_progress(self, state: ProgressState, message: str = "") -> None:
        """Bring progress.json and entry.md up to date with the newest checkpoint. Raises: RunError."""
        training, before = self._training, self._before
        write_progress(
            self.run.path,
            Progress(
                state=state,
                step=training.step,
                train_loss=None if math.isnan(training.recent_loss) else training.recent_loss,
                val_loss=self.last_evaluation.val_loss if self.last_evaluation else None,
                elapsed_s=training.elapsed_s,
                wall_s=(before.wall_s if before else 0.0) + time.monotonic() - self._begun,
                peak_rss_mib=max(before.peak_rss_mib if before else 0.0, machine.peak_rss_mib()),
                sittings=(before.sittings if before else 0) + 1,
                machine=machine.describe_machine(),
                threads=training.threads,
                message=message,
            ),
        )
        write_entry(self.run.path)

    def _failed(self, error: FemtoError, *, always: bool = False) -> Iterator[Event]:
        last_kind, reported_at = self._last_report
        kind = type(error).__name__ + str(error).rpartition(": ")[2]
        if always or kind != last_kind or time.monotonic() - reported_at > _REPORT_SECONDS:
            self._last_report = (kind, time.monotonic())
            yield SavingFailed(step=self._training.step, message=str(error))

    @property
    def folder_is_gone(self) -> bool:
        """Whether the run folder was moved or deleted, and a new one could be created in its place."""
        try:
            (self.run.path / RunFile.INFO).stat()
        except FileNotFoundError:
            return self.run.path.parent.is_dir()
        except OSError:
            pass  # unreachable is not gone; a failing write reports it
        return False

    def recreate_folder(self) -> str:
        """Continue in a new folder; returns a message about both. Raises: RunError."""
        gone = self.run
        self.run = gone.recreated(self._training.tokenizer)
        gone.unlock()
        self.saved_step = None
        return f"{gone.path} is gone (moved or deleted?): the run continues in {self.run.path}"
