"""record(): the one path that every training takes, in the app and on the command line.

It iterates the training, obeys commands between steps, writes the run folder, and says all of it as events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue

from . import machine
from .commands import Checkpoint, Pause, Resume, SetLearningRate, Snapshot, Steering, Stop
from .errors import CheckpointError, DivergedError, FemtoError
from .events import (
    CheckpointSaved,
    EvalDone,
    Event,
    Paused,
    Resumed,
    RunFailed,
    RunFinished,
    RunStarted,
    StepDone,
)
from .run import RunFolder
from .train import Training, train


def record(
    run: RunFolder,
    training: Training,
    commands: SimpleQueue[Steering],
    *,
    on_snapshot: Callable[[Training], None] | None = None,
    notes: tuple[str, ...] = (),
) -> Iterator[Event]:
    """Trains and writes the run folder: RunStarted first, RunFinished or RunFailed last.

    `commands` may be filled from other threads and from signal handlers. `on_snapshot` answers Snapshot, in
    the training's thread, before the next step. `notes` are said in RunStarted besides the source's own.
    Whoever stops iterating stops the training; rows are still written, a checkpoint only by Stop.
    """
    recorder = _Recorder(run, training, commands, on_snapshot)
    try:
        yield recorder.started(notes)
        yield from recorder.train()
        yield from recorder.finish()
    except DivergedError as error:
        yield from recorder.diverged(error)
    except FemtoError as error:
        yield recorder.failed(error.title, str(error))
    except MemoryError:
        words = (
            "this machine has no memory left for it: take a smaller model, batch or chunk, or fewer threads"
        )
        yield recorder.failed("Out of memory", words)
    finally:
        recorder.flush_quietly()


class _Recorder:
    """What record() has to remember between events."""

    def __init__(
        self,
        run: RunFolder,
        training: Training,
        commands: SimpleQueue[Steering],
        on_snapshot: Callable[[Training], None] | None,
    ) -> None:
        self._run = run
        self._training = training
        self._commands = commands
        self._on_snapshot = on_snapshot
        self._stopping = False
        self._last_eval: EvalDone | None = None
        self._saved_step: int | None = training.step or None
        self._saved_elapsed_s = training.elapsed_s
        self._base_lr = training.config.recipe.schedule.base_lr

    def started(self, notes: tuple[str, ...]) -> RunStarted:
        training, data = self._training, self._run.info.data
        return RunStarted(
            run=str(self._run.path),
            config=training.config,
            step=training.step,
            elapsed_s=training.elapsed_s,
            parameters=training.n_parameters,
            resumed=training.step > 0,
            data_name=data.name,
            data_sha256=data.sha256,
            data_bytes=data.n_bytes,
            bytes_per_token=training.batches.bytes_per_token,
            baselines=training.batches.baselines,
            notes=(*training.source.notes, *notes),
            threads=training.threads,
            chunk=training.chunk,
            blas=machine.blas_description(),
            machine=machine.describe_machine(),
            rss_mib=machine.rss_mib(),
        )

    def train(self) -> Iterator[Event]:
        """The steps, until they are done or Stop comes."""
        yield from self._obey()
        if self._stopping:
            return
        for event in train(self._training):
            self._run.append(event)
            if isinstance(event, EvalDone):
                self._last_eval = event
            yield event
            if self._is_between_steps(event):
                if self._checkpoint_is_due():
                    yield self._save()
                yield from self._obey()
                if self._stopping:
                    return

    def finish(self) -> Iterator[Event]:
        """The last checkpoint, the last evaluation, RunFinished."""
        training = self._training
        if self._saved_step != training.step:
            yield self._save()
        if self._last_eval is None or self._last_eval.step != training.step:
            self._last_eval = training.evaluate()
            self._run.append(self._last_eval)
            yield self._last_eval
        self._run.flush(to_disk=True)
        yield RunFinished(
            step=training.step,
            train_loss=training.recent_loss,
            val_loss=self._last_eval.val_loss,
            elapsed_s=training.elapsed_s,
            peak_rss_mib=machine.peak_rss_mib(),
            parameters=training.n_parameters,
            run=str(self._run.path),
            reason="finished" if training.step >= training.config.train.steps else "stopped",
        )

    def diverged(self, error: DivergedError) -> Iterator[Event]:
        """Keeps the last good state, and says what to try."""
        step = self._training.step
        try:
            if self._saved_step != step:
                yield self._save()
            kept = f"The last good state, step {step:,}, is saved"
        except CheckpointError:
            # Its numbers had overflowed before the loss showed it.
            older = self._run.checkpoint_paths()
            kept = f"The last good state is {older[0].name}" if older else "Nothing good came before that"
        except FemtoError as failure:
            kept = f"The last state could not be saved ({failure})"
        rate = f"the base rate was {self._base_lr:g}"
        words = f"{error} ({rate}). {kept}; the run can be resumed from its last checkpoint"
        yield self.failed(error.title, words)

    def failed(self, title: str, message: str) -> RunFailed:
        return RunFailed(step=self._training.step, title=title, message=message, run=str(self._run.path))

    def flush_quietly(self) -> None:
        """Whatever ends the training, the rows so far are written; if that fails it has been said already."""
        try:
            self._run.flush()
        except FemtoError:
            return

    def _is_between_steps(self, event: Event) -> bool:
        """Whether a step is over, with the evaluation that belongs to it: then it may be saved or stopped.

        Saved between a step and its evaluation, a resumed run would lack that evaluation.
        """
        train = self._training.config.train
        if not isinstance(event, StepDone):
            return True
        return event.step % train.eval_every != 0 and event.step < train.steps

    def _checkpoint_is_due(self) -> bool:
        since = self._training.elapsed_s - self._saved_elapsed_s
        return since >= self._training.config.train.checkpoint_seconds

    def _save(self) -> CheckpointSaved:
        training = self._training
        saved = self._run.save(training.tensors(), training.step, training.elapsed_s)
        self._saved_step, self._saved_elapsed_s = training.step, training.elapsed_s
        return saved

    def _obey(self) -> Iterator[Event]:
        """Does what has been asked; while paused, waits for more."""
        paused = False
        while paused or not self._commands.empty():
            match self._commands.get():
                case Pause() if not paused:
                    paused = True
                    yield self._save()
                    yield Paused(step=self._training.step)
                case Resume() if paused:
                    paused = False
                    yield Resumed(step=self._training.step)
                case Checkpoint():
                    yield self._save()
                case SetLearningRate(base_lr=base_lr):
                    self._training.set_learning_rate(base_lr)
                    self._base_lr = base_lr
                case Snapshot():
                    if self._on_snapshot is not None:
                        self._on_snapshot(self._training)
                case Stop():
                    self._stopping = True
                    return
                case _:
                    pass  # Pause while paused, Resume while training: nothing to do
