"""record(): iterates a training, obeys commands between steps, writes the run folder and yields events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue

from .. import machine
from ..commands import (
    InspectStep,
    Pause,
    Resume,
    SaveCheckpoint,
    SetLearningRate,
    Snapshot,
    Steering,
    Stop,
)
from ..errors import OUT_OF_MEMORY, CheckpointError, DivergedError, FemtoError, RunError
from ..evaluators import Evaluator
from ..events import (
    EvalDone,
    Event,
    Paused,
    Resumed,
    RunFailed,
    RunFinished,
    RunStarted,
    SavingFailed,
    StepDone,
)
from ..training.training import Training, train
from .folder import RunFolder
from .saver import RunSaver


def record(
    run: RunFolder,
    training: Training,
    commands: SimpleQueue[Steering],
    *,
    on_snapshot: Callable[[Training], None] | None = None,
    notes: tuple[str, ...] = (),
    evaluator: Evaluator | None = None,
) -> Iterator[Event]:
    """Train and write the run folder: RunStarted first, RunFinished or RunFailed last.

    `commands` may be filled from other threads and from signal handlers. `on_snapshot` answers Snapshot, in
    the training's thread, before the next step. `notes` are added to the source's in RunStarted. `evaluator`
    scores the model quickly every `score_every` steps, and thoroughly at the end. If iteration stops early,
    rows are written, but no checkpoint.
    """
    recorder = _Recorder(run, training, commands, on_snapshot, evaluator)
    try:
        yield recorder.started(notes)
        yield from recorder.train()
        yield from recorder.finish()
    except DivergedError as error:
        yield from recorder.diverged(error)
    except FemtoError as error:
        yield recorder.failed(error.title, str(error))
    except MemoryError:
        yield recorder.failed(*OUT_OF_MEMORY)
    finally:
        recorder.close()


@dataclass
class _Recorder:
    """The state of record() between events."""

    _first_run: RunFolder
    _training: Training
    _commands: SimpleQueue[Steering]
    _on_snapshot: Callable[[Training], None] | None
    _evaluator: Evaluator | None
    _stopping: bool = False

    def __post_init__(self) -> None:
        self._saver = RunSaver(self._first_run, self._training)
        self._base_lr = self._training.config.recipe.schedule.base_lr

    @property
    def _run(self) -> RunFolder:
        return self._saver.run

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
        """The steps, until they are done or Stop arrives."""
        yield from self._saver.begin()
        yield from self._obey()
        if self._stopping:
            return
        for event in train(self._training):
            yield from self._saver.append(event)
            yield from self._after(event)
            if self._is_between_steps(event):
                yield from self._obey()
                if self._stopping:
                    return

    def _after(self, event: Event) -> Iterator[Event]:
        """The score or checkpoint that is due after a step or an evaluation."""
        if self._saver.folder_is_gone:
            yield from self._recreate_folder()
        if isinstance(event, EvalDone) and self._score_is_due(event.step):
            yield from self._score(event, thorough=False)
        if self._is_between_steps(event) and (self._saver.is_due or self._saver.is_new_best(event)):
            yield from self._saver.save()

    def _recreate_folder(self) -> Iterator[Event]:
        try:
            yield self.started((self._saver.recreate_folder(),))
        except RunError as error:
            yield SavingFailed(step=self._training.step, message=str(error))
            return
        yield from self._saver.save()

    def finish(self) -> Iterator[Event]:
        """The last checkpoint, evaluation and score, then RunFinished."""
        training = self._training
        done = training.step >= training.config.train.steps
        if self._saver.saved_step != training.step:
            yield from self._saver.save_or_raise("training")
        evaluated = self._saver.last_evaluation
        if evaluated is None or evaluated.step != training.step:
            evaluated = training.evaluate()
            yield from self._saver.append(evaluated)
        if done and not self._saver.is_scored:
            yield from self._score(evaluated, thorough=True)
        self._run.flush(to_disk=True)
        self._saver.write_progress("finished" if done else "stopped")
        yield RunFinished(
            step=training.step,
            train_loss=training.recent_loss,
            val_loss=evaluated.val_loss,
            elapsed_s=training.elapsed_s,
            peak_rss_mib=machine.peak_rss_mib(),
            parameters=training.n_parameters,
            run=str(self._run.path),
            reason="finished" if done else "stopped",
        )

    def _score_is_due(self, step: int) -> bool:
        """Due at the evaluations nearest to every `score_every` steps; the end has a thorough one instead."""
        train = self._training.config.train
        if not train.score_every or step >= train.steps:
            return False
        return step // train.eval_every % max(1, round(train.score_every / train.eval_every)) == 0

    def _score(self, evaluated: EvalDone, *, thorough: bool) -> Iterator[Event]:
        """Run the evaluator. Any command ends a quick score; only Stop ends a thorough one."""
        if self._evaluator is None:
            return
        for score in self._evaluator.examine(self._training, evaluated.val_loss, thorough=thorough):
            if score is not None:
                yield from self._saver.append(score)
            elif not self._commands.empty():
                if not thorough:
                    return
                yield from self._obey()
                if self._stopping:
                    return

    def diverged(self, error: DivergedError) -> Iterator[Event]:
        """Save the last good state, and report what to try."""
        step = self._training.step
        try:
            if self._saver.saved_step != step:
                yield self._saver.save_state()
            kept = f"The last good state, step {step:,}, is saved"
        except CheckpointError:
            # The parameters had overflowed before the loss showed it.
            older = self._run.checkpoint_paths()
            kept = f"The last good state is {older[0].name}" if older else "There is no earlier good state"
        except FemtoError as failure:
            kept = f"The last state could not be saved ({failure})"
        rate = f"the base rate was {self._base_lr:g}"
        words = f"{error} ({rate}). {kept}; the run can be resumed from its last checkpoint"
        with suppress(RunError):
            self._saver.write_progress("failed", words)
        yield self.failed(error.title, words)

    def failed(self, title: str, message: str) -> RunFailed:
        return RunFailed(step=self._training.step, title=title, message=message, run=str(self._run.path))

    def close(self) -> None:
        """Write the rows so far, whatever ended the training; a failure has been reported already."""
        with suppress(FemtoError):
            self._run.flush()
        if self._run is not self._first_run:
            self._run.unlock()

    def _is_between_steps(self, event: Event) -> bool:
        """Whether a step and its evaluation are both done, so that the run may be saved or stopped.

        Saved between the two, a resumed run would lack that evaluation.
        """
        train = self._training.config.train
        if not isinstance(event, StepDone):
            return True
        return event.step % train.eval_every != 0 and event.step < train.steps

    def _obey(self) -> Iterator[Event]:
        """Obey the commands so far; while paused, wait for more."""
        paused = False
        while paused or not self._commands.empty():
            match self._commands.get():
                case Pause() if not paused:
                    paused = True
                    yield from self._saver.save("paused", asked=True)
                    yield Paused(step=self._training.step)
                case Resume() if paused:
                    paused = False
                    yield Resumed(step=self._training.step)
                case SaveCheckpoint():
                    yield from self._saver.save("paused" if paused else "training", asked=True)
                case SetLearningRate(base_lr=base_lr):
                    self._training.set_learning_rate(base_lr)
                    self._base_lr = base_lr
                case InspectStep():
                    self._training.inspect_next()
                case Snapshot():
                    if self._on_snapshot is not None:
                        self._on_snapshot(self._training)
                case Stop():
                    self._stopping = True
                    return
                case _:
                    pass  # Pause while paused, Resume while training
