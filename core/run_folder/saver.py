"""Keeping a run on disk while it trains: checkpoints, samples, how far it is, and its journal entry.

What cannot be written is said, and does not end the training: rows wait in memory, the last good checkpoint
stays, and the next checkpoint tries again.
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
from ..sampling.sampler import JOURNAL_SAMPLING
from ..training.training import Training
from .entry import write_entry
from .folder import RunFolder
from .info import Progress, RunState, read_progress, write_progress
from .logs import read_scores

SAMPLE_PROMPT = "\n"
SAMPLE_TOKENS = 100
"""The journal's own: a newline, and a hundred tokens after it."""

BEST_SECONDS = 2.0
"""An evaluation better than all before is saved at once, but not more often than this, in training time."""

_SAYING_SECONDS = 30.0
"""How often the same trouble is said again."""


class RunSaver:
    """Saves `training` into `run`, which becomes another folder if the first one goes missing."""

    def __init__(self, run: RunFolder, training: Training) -> None:
        self.run = run
        self._training = training
        self.saved_step: int | None = training.step or None
        self._tried_elapsed_s = training.elapsed_s
        self._begun = time.monotonic()
        before = self._progress_before()
        self._wall_before_s = before.wall_s if before else 0.0
        self._peak_before_mib = before.peak_rss_mib if before else 0.0
        self._sittings = (before.sittings if before else 0) + 1
        self._val_loss = before.val_loss if before else None
        self._best_loss = self._best_before()
        self._said: tuple[str, float] = ("", -math.inf)

    def _progress_before(self) -> Progress | None:
        with suppress(RunError):  # damaged: the figures of this sitting are still true
            return read_progress(self.run.path)
        return None

    def last_evaluation(self) -> EvalDone | None:
        """The newest evaluation that is written: of an earlier sitting, if there was none in this one."""
        return next(iter(reversed(self.run.evaluations())), None)

    @property
    def is_judged(self) -> bool:
        """Whether there is a thorough score of this step, of an earlier sitting."""
        scores = read_scores(self.run.path / "scores.jsonl")
        return any(score.thorough and score.step == self._training.step for score in scores)

    def _best_before(self) -> float:
        return min((evaluated.val_loss for evaluated in self.run.evaluations()), default=math.inf)

    # -- rows ------------------------------------------------------------------------------------------

    def note(self, event: Event) -> tuple[Event, ...]:
        """Writes what has a file of its own; gives it back to be said, and the trouble if that failed."""
        if isinstance(event, EvalDone):
            self._val_loss = event.val_loss
        try:
            self.run.append(event)
        except RunError as error:
            return event, *self._trouble(error)
        return (event,)

    # -- checkpoints -----------------------------------------------------------------------------------

    @property
    def is_due(self) -> bool:
        since = self._training.elapsed_s - self._tried_elapsed_s
        return since >= self._training.config.train.checkpoint_seconds

    def is_new_best(self, event: Event) -> bool:
        """Whether this evaluation is the best so far and should be kept; a lower one will be next time."""
        if not (isinstance(event, EvalDone) and event.val_loss < self._best_loss):
            return False
        if self._training.elapsed_s - self._tried_elapsed_s < BEST_SECONDS:
            return False
        self._best_loss = event.val_loss
        return self._training.config.train.keep_best

    def save(self, state: RunState = "training", *, asked: bool = False) -> Iterator[Event]:
        """Saves everything now. Never raises for what the system refuses: says SavingFailed instead, if
        somebody `asked` every time.
        """
        try:
            yield from self.save_or_raise(state)
        except FemtoError as error:
            yield from self._trouble(error, always=asked)

    def save_or_raise(self, state: RunState) -> Iterator[Event]:
        """Raises: RunError, CheckpointError."""
        self._tried_elapsed_s = self._training.elapsed_s
        if self.saved_step != self._training.step:
            yield from self._sample()
        yield self.save_state()
        self.write_progress(state)

    def save_state(self) -> CheckpointSaved:
        """The checkpoint alone; on a full disk, older ones make room for it.

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
        with suppress(FemtoError):  # a character vocabulary may have no newline
            text = drawn_bytes(
                sampler_of(training), SAMPLE_PROMPT.encode(), SAMPLE_TOKENS, JOURNAL_SAMPLING
            ).decode(errors="replace")
            sample = SampleDone(
                step=training.step, prompt=SAMPLE_PROMPT, text=text, seed=JOURNAL_SAMPLING.seed
            )
            self.run.append(sample)
            yield sample

    # -- progress and the entry ------------------------------------------------------------------------

    def begin(self) -> Iterator[Event]:
        """Notes that a run which was saved before is being trained again."""
        if self.saved_step is not None:
            try:
                self.write_progress("training")
            except RunError as error:
                yield from self._trouble(error)

    def write_progress(self, state: RunState, message: str = "") -> None:
        """Brings progress.json and entry.md up to date with the newest checkpoint. Raises: RunError."""
        training = self._training
        write_progress(
            self.run.path,
            Progress(
                state=state,
                step=training.step,
                train_loss=None if math.isnan(training.recent_loss) else training.recent_loss,
                val_loss=self._val_loss,
                elapsed_s=training.elapsed_s,
                wall_s=self._wall_before_s + time.monotonic() - self._begun,
                peak_rss_mib=max(self._peak_before_mib, machine.peak_rss_mib()),
                sittings=self._sittings,
                machine=machine.describe_machine(),
                threads=training.threads,
                message=message,
            ),
        )
        write_entry(self.run.path)

    # -- trouble ---------------------------------------------------------------------------------------

    def _trouble(self, error: FemtoError, *, always: bool = False) -> Iterator[Event]:
        words, said_at = self._said
        kind = type(error).__name__ + str(error).rpartition(": ")[2]
        if always or kind != words or time.monotonic() - said_at > _SAYING_SECONDS:
            self._said = (kind, time.monotonic())
            yield SavingFailed(step=self._training.step, message=str(error))

    @property
    def folder_is_gone(self) -> bool:
        """Whether the run folder was moved or deleted, and another could be made beside where it was."""
        try:
            (self.run.path / "run.json").stat()
        except FileNotFoundError:
            return self.run.path.parent.is_dir()
        except OSError:
            pass  # out of reach is not gone: what cannot be written will say so
        return False

    def move_out(self) -> str:
        """Goes on in a new folder; says from where to where. Raises: RunError."""
        gone = self.run
        self.run = gone.made_anew(self._training.tokenizer)
        gone.unlock()
        self.saved_step = None
        return f"{gone.path} is gone (moved or deleted?): the run is kept in {self.run.path} from here on"
