"""A trainer without a process: it notes the commands it gets and says what a test lets it say."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from femtotui.core.commands import Command, Pause, Resume, SaveCheckpoint, Snapshot, Stop
from femtotui.core.config import RunConfig
from femtotui.core.events import (
    AnyEvent,
    Baselines,
    CheckpointSaved,
    EvalDone,
    Paused,
    Resumed,
    RunFinished,
    RunStarted,
    StepDone,
)
from femtotui.core.run_folder.catalog import summarise
from femtotui.trainer.protocol import (
    Continue,
    Detach,
    EventsArrived,
    SnapshotArrived,
    Start,
    TrainerDetached,
    TrainerExited,
    TrainerMessage,
)


def resolved(config: RunConfig) -> RunConfig:
    """The configuration as a trainer would report it: with a vocabulary."""
    vocabulary = config.model.vocab_size or config.tokenizer.vocab_size or 256
    return msgspec.structs.replace(config, model=msgspec.structs.replace(config.model, vocab_size=vocabulary))


def run_started(
    config: RunConfig, run: str, *, step: int = 0, elapsed_s: float = 0.0, notes: tuple[str, ...] = ()
) -> RunStarted:
    """What a run says first."""
    config = resolved(config)
    return RunStarted(
        run=run,
        config=config,
        step=step,
        elapsed_s=elapsed_s,
        parameters=config.model.n_parameters,
        resumed=step > 0,
        data_name=config.data.source,
        data_sha256="0" * 64,
        data_bytes=56_000,
        bytes_per_token=1.0,
        baselines=Baselines(uniform=5.545, unigram=2.54, bigram=1.66, floor=1.2413),
        notes=notes,
        threads=2,
        chunk=8,
        blas="OpenBLAS",
        machine="a laptop, 2 cores",
        rss_mib=60.0,
    )


def recorded_loss(step: int) -> float:
    """A curve that falls as entry 2 does, with a batch's noise that is the same every time."""
    noise = 0.03 * math.sin(step * 12.9898) + 0.02 * math.sin(step * 78.233)
    return 1.33 + 4.2 * math.exp(-step / 55) + 0.35 * math.exp(-step / 400) + noise


def step_done(step: int, *, loss: float | None = None, ms: float = 16.9) -> StepDone:
    """One step of the recorded run."""
    return StepDone(
        step=step,
        loss=recorded_loss(step) if loss is None else loss,
        lr=3e-3,
        grad_norm=0.412,
        ms=ms,
        elapsed_s=step * ms / 1000,
        rss_mib=62.0 + step / 1000,
    )


def steps(first: int, last: int) -> tuple[AnyEvent, ...]:
    """The recorded run from `first` to `last`, with an evaluation every 100 steps."""
    events: list[AnyEvent] = []
    for step in range(first, last + 1):
        events.append(step_done(step))
        if step % 100 == 0:
            loss = recorded_loss(step)
            events.append(
                EvalDone(step=step, val_loss=loss + 0.012, train_loss=loss, elapsed_s=step * 16.9 / 1000)
            )
    return tuple(events)


class FakeTrainer:
    """Answers Start, Continue, Pause, Resume and Snapshot as a trainer does; steps come from the test."""

    def __init__(self, listener: Callable[[TrainerMessage], None], run_of: Callable[[str], str]) -> None:
        self._listener = listener
        self._run_of = run_of
        self.commands: list[Command] = []
        self.step = 0
        self.config: RunConfig | None = None
        self.notes: tuple[str, ...] = ()
        self.closed = False
        self.left = False

    def say(self, *events: AnyEvent) -> None:
        """Let the app hear events."""
        self._listener(EventsArrived(events))

    def play(self, last: int) -> None:
        """Train up to step `last`, as recorded."""
        self.say(*steps(self.step + 1, last))
        self.step = last

    def exit(self, code: int, stderr: str) -> None:
        """End as a process that was killed does."""
        self._listener(TrainerExited(code, stderr))

    def send(self, command: Command) -> None:
        self.commands.append(command)
        match command:
            case Start(config=config):
                self.config = config
                self.say(run_started(config, self._run_of(config.preset), notes=self.notes))
            case Continue(run=run):
                self.continue_run(run)
            case Pause():
                self.save()
                self.say(Paused(step=self.step))
            case SaveCheckpoint():
                self.save()
            case Resume():
                self.say(Resumed(step=self.step))
            case Snapshot():
                self.snapshot()
            case Detach():
                self._listener(TrainerDetached(4242))
            case Stop():
                self.close()

    def save(self) -> None:
        """Say that a checkpoint is written."""
        self.say(CheckpointSaved(step=self.step, path=f"step-{self.step}.safetensors", ms=3.0))

    def continue_run(self, run: str) -> None:
        """Nothing here: a test that continues a run says what comes of it (see FakeFleet)."""

    def snapshot(self) -> None:
        """Hand out zeros: every token is as likely as any other."""
        if self.config is not None:
            n_parameters = resolved(self.config).model.n_parameters
            self._listener(SnapshotArrived(self.step, 1.5, np.zeros(n_parameters, np.float32).data))

    def leave(self) -> None:
        """The app lets go; nothing is said any more."""
        self.left = True

    def close(self, timeout: float = 5.0) -> None:
        del timeout
        if self.closed:
            return
        self.closed = True
        if self.config is not None:
            self.save()
            self.say(
                RunFinished(
                    step=self.step,
                    train_loss=recorded_loss(self.step),
                    val_loss=recorded_loss(self.step),
                    elapsed_s=self.step * 0.0169,
                    peak_rss_mib=70.0,
                    parameters=1,
                    run=self._run_of(self.config.preset),
                    reason="stopped",
                )
            )
        self.exit(0, "")


class FakeFleet:
    """Makes fake trainers and remembers them, and at which step each run was left."""

    def __init__(self, run_of: Callable[[str], str]) -> None:
        self.trainers: list[FakeTrainer] = []
        self._run_of = run_of

    @property
    def last(self) -> FakeTrainer:
        return self.trainers[-1]

    def __call__(self, listener: Callable[[TrainerMessage], None]) -> FakeTrainer:
        trainer = FakeTrainer(listener, self._run_of)
        trainer.continue_run = lambda run: self._continue(trainer, run)  # type: ignore[method-assign]
        self.trainers.append(trainer)
        return trainer

    def _continue(self, trainer: FakeTrainer, run: str) -> None:
        of_this_run = (
            other
            for other in reversed(self.trainers)
            if other.config is not None and other is not trainer and self._run_of(other.config.preset) == run
        )
        before = next(of_this_run, None)
        if before is not None:
            trainer.config, trainer.step = before.config, before.step
        elif (info := (found := summarise(Path(run))).info) is not None:  # an earlier session's, on the disk
            trainer.config, trainer.step = info.config, found.checkpoint_step or 0
        if trainer.config is not None:
            trainer.say(run_started(trainer.config, run, step=trainer.step, elapsed_s=trainer.step * 0.0169))
