"""A training prepared from settings or from a run folder, its folder, and training without a screen."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING

import msgspec

from femtotui.core.commands import Steering, Stop
from femtotui.core.config import RunConfig
from femtotui.core.errors import RunError
from femtotui.core.events import Event, RunFailed
from femtotui.core.machine import blas_description
from femtotui.core.run_folder.checkpoint import load_checkpoint
from femtotui.core.run_folder.folder import RunFolder
from femtotui.core.run_folder.recorder import record
from femtotui.core.tokenizers import build_tokenizer
from femtotui.core.training.calibration import remember_step, remembered_choice
from femtotui.core.training.training import Training, resolved
from femtotui.core.training.workers import ALONE, Ranks
from femtotui.presets.load import choose_evaluator
from femtotui.presets.sources import open_source

from ..blas.kernel import slow_kernel_notes
from ..installation import choices_file
from . import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from femtotui.core.training.batches import Source
    from femtotui.presets.sources import Download


EXIT_SIGNAL = 128
"""The exit code of a process ended by a signal is 128 plus the signal's number."""


@dataclass(frozen=True)
class Session:
    """A training and its run folder, which is locked. `notes` are shown besides the source's."""

    run: RunFolder
    training: Training
    notes: tuple[str, ...] = ()

    def record(
        self, commands: SimpleQueue[Steering], on_snapshot: Callable[[Training], None] | None = None
    ) -> Iterator[Event]:
        """Train, with the evaluator for this data (see core.run_folder.recorder.record)."""
        return record(
            self.run,
            self.training,
            commands,
            on_snapshot=on_snapshot,
            notes=self.notes,
            evaluator=choose_evaluator(self.training.config.data),
        )

    def close(self) -> None:
        """End the training's threads, unlock the run, and store the speed for later estimates."""
        self.training.close()
        self.run.unlock()
        ms = self.training.ms_per_step
        if ms is not None:
            remember_step(choices_file(), self.training.config, ms)


def prepare(
    config: RunConfig,
    runs: Path,
    download: Download | None = None,
    *,
    source: Source | None = None,
    ranks: Ranks = ALONE,
) -> Session:
    """Prepare a new run. Nothing is written before the data, the tokenizer and the model are known to work.

    `source` is the text, if the caller has it already; `ranks` train together.

    Raises: FemtoError.
    """
    source = source or open_source(config.data, config.train.seed, download=download)
    # A character that occurs only in the validation text needs an id as well.
    everything = config.tokenizer.kind == "char"
    text = source.train + source.validation if everything else source.train
    tokenizer = build_tokenizer(config.tokenizer, text)
    config = _with_threads(resolved(config, tokenizer), asked=config)
    with ExitStack() as undo:
        training = Training(config, source, tokenizer, ranks)
        undo.callback(training.close)
        bytes_per_token, command = training.batches.bytes_per_token, train_command(training.config)
        run = RunFolder.create(runs, training.config, tokenizer, source, bytes_per_token, command)
        run.lock()
        undo.pop_all()
    return Session(run, training, slow_kernel_notes(os.environ))


def train_command(config: RunConfig) -> str:
    """The shell command that repeats a training, bit for bit on the same machine."""
    train = config.train
    words = ["femtotui", "train", config.preset, "--recipe", config.recipe.name, "--steps", str(train.steps)]
    words += ["--seed", str(train.seed), "--threads", str(train.threads), "--chunk", str(train.chunk)]
    if config.data.paths:
        words += ["--data", *config.data.paths]
    return shlex.join(words)


def _with_threads(config: RunConfig, asked: RunConfig) -> RunConfig:
    """`config` with the threads and chunk that are fastest here, unless either was asked for."""
    if asked.train.threads or asked.train.chunk:
        return config
    choice = remembered_choice(choices_file(), config.model, config.recipe, config.train.batch)
    return _with_other_threads(config, choice.threads, choice.chunk)


def continue_run(
    path: Path,
    download: Download | None = None,
    *,
    threads: int | None = None,
    chunk: int | None = None,
    source: Source | None = None,
    ranks: Ranks = ALONE,
) -> Session:
    """Resume a run at its newest whole checkpoint; anything written after that is cut off.

    The result is bit for bit that of a run without interruption; with other `threads`, another `chunk` or
    another BLAS it is equal up to rounding, and a note says so. `source` and `ranks` are as for `prepare`.

    Raises: FemtoError; RunError if its data has changed, or if another process trains it.
    """
    run = RunFolder.open(path)
    if not run.checkpoint_paths():
        raise RunError(f"{path} has no checkpoint to resume from: start a new run")
    with ExitStack() as undo:
        run.lock()
        undo.callback(run.unlock)
        config = _with_other_threads(run.config, threads, chunk)
        run.require_own_checkpoint()
        source = source or open_source(config.data, config.train.seed, download=download)
        _require_same_data(run, source)
        training = Training(config, source, run.tokenizer(), ranks)
        undo.callback(training.close)
        checkpoint, notes = run.load_newest(training.tensors())
        training.restore(checkpoint.tensors, checkpoint.step, checkpoint.elapsed_s)
        run.cut_after(checkpoint.step)
        notes = (*notes, *_rounding_notes(run, training.config), *slow_kernel_notes(os.environ))
        undo.pop_all()
    return Session(run, training, notes)


def open_trained(path: Path, which: str, download: Download | None = None) -> Training:
    """A run's training at a checkpoint (`latest`, `best` or a step), to inspect and not to record.

    Raises: FemtoError.
    """
    run = RunFolder.open(path)
    chosen = run.find_checkpoint(which)
    run.require_own_checkpoint()
    source = open_source(run.config.data, run.config.train.seed, download=download)
    _require_same_data(run, source)
    with ExitStack() as undo:
        training = Training(run.config, source, run.tokenizer())
        undo.callback(training.close)
        loaded = load_checkpoint(chosen, training.tensors(), run.config.model)
        training.restore(loaded.tensors, loaded.step, loaded.elapsed_s)
        undo.pop_all()
    return training


def _with_other_threads(config: RunConfig, threads: int | None, chunk: int | None) -> RunConfig:
    train = config.train
    if threads is not None:
        train = msgspec.structs.replace(train, threads=threads, chunk=0)
    if chunk is not None:
        train = msgspec.structs.replace(train, chunk=chunk)
    return msgspec.structs.replace(config, train=train)


def _rounding_notes(run: RunFolder, config: RunConfig) -> Iterator[str]:
    """The changes after which the run will not be the same bit for bit."""
    differs = "the run continues equal up to rounding, not bit for bit"
    before, now = run.config.train, config.train
    if (before.threads, before.chunk) != (now.threads, now.chunk):
        yield (
            f"{now.threads} thread{'' if now.threads == 1 else 's'} of {now.chunk} sequences instead of "
            f"{before.threads} of {before.chunk}: {differs}"
        )
    blas = blas_description()
    if blas != run.info.blas:
        yield f"{blas} instead of {run.info.blas}: {differs}"


def _require_same_data(run: RunFolder, source: Source) -> None:
    data = run.info.data
    if source.sha256 == data.sha256:
        return
    was = f"{data.name}, {data.n_bytes:,} bytes"
    now = f"{source.name}, {len(source.train) + len(source.validation):,} bytes"
    raise RunError(
        f"{run.path.name} cannot be resumed: its data has changed ({was} then, {now} now). "
        "Put the old text back, or start a new run"
    )


def train_headless(session: Session, show: Callable[[Event], None]) -> int:
    """Train, and return the exit code.

    `show` raises OSError when it cannot write any more: the training stops, saved. That is no failure if it
    is a BrokenPipeError, because the reader (`head`, say) has all it wanted.
    """
    commands: SimpleQueue[Steering] = SimpleQueue()
    failed = output_failed = False
    try:
        with stop_on_signals(commands) as received:
            for event in session.record(commands):
                failed = isinstance(event, RunFailed)
                try:
                    show(event)
                except OSError as error:
                    output_failed = not isinstance(error, BrokenPipeError)
                    commands.put(Stop())
    finally:
        session.close()
    if received and not failed:
        return EXIT_SIGNAL + received[0]
    return EXIT_FAILED if failed or output_failed else EXIT_DONE


@contextmanager
def stop_on_signals(commands: SimpleQueue[Steering]) -> Iterator[list[int]]:
    """Turn the first signal to end into Stop; a second Ctrl+C ends at once. Yields the signals received."""
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        commands.put(Stop())
        signal.signal(signal.SIGINT, signal.default_int_handler)

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # One that is ignored stays ignored: nohup must keep its meaning.
    previous = {n: signal.signal(n, stop) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
