"""`femtotui train`: train without the app, a new run or one to resume."""

from __future__ import annotations

import errno
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click import option
from msgspec.structs import replace

from femtotui.core import events
from femtotui.core.files import os_error_words

from ..blas.kernel import prepare_blas
from ..text.formats import duration
from ..text.safe import say
from .options import (
    CliCommand,
    complete_runs,
    data_option,
    json_lines_option,
    preset_argument,
    recipe_option,
    runs_option,
    thread_options,
    too_many_threads,
)
from .output import ProgressBar, discard_output, print_json_line

if TYPE_CHECKING:
    from femtotui.core.config import RunConfig

    from ..mpi.ranks import Leader
    from ..trainer.session import Session

_SECONDS_BETWEEN_FRAMES = 0.2
_SMOOTHING = 0.95
_BAR_WIDTH = 16
_SPARE_COLUMNS = 6
"""For the spaces between, and for the ^C of a terminal, which would otherwise begin a new line."""

_MPI_HELP = (
    "Share each batch among processes: `mpirun -n N femtotui train ... --mpi` (threads are per process)."
)


@click.command(
    cls=CliCommand,
    examples={
        "train 3 --recipe journal": "as the journal did",
        "train 4 --data 'src/**/*.rs'": "on your own text",
        "train --resume latest": "go on where a run stopped, bit for bit",
        "train 2 --steps 629 --json": "one JSON object per line",
    },
)
@preset_argument(required=False)
@recipe_option()
@option("--steps", type=int, help="Number of steps (default: the preset's).")
@option("--seed", type=int, help="With the same threads and chunk, a seed gives the same run (default: 0).")
@data_option
@runs_option
@thread_options
@option("--checkpoint-seconds", type=float, help="Seconds between checkpoints (default: 30).")
@option("--keep", "keep_checkpoints", type=int, help="Checkpoints to keep besides the best one (default: 3).")
@option(
    "--resume",
    metavar="RUN",
    shell_complete=complete_runs,
    help="Resume a run: its folder, its name or a part of it, or `latest`.",
)
@option(
    "--download/--no-download",
    default=None,
    help="Download the English text if it is missing (default: ask).",
)
@json_lines_option
@option("--mpi", "over_mpi", is_flag=True, help=_MPI_HELP)
def train(
    preset: str | None,
    runs: Path,
    threads: int | None,
    chunk: int | None,
    resume: str | None,
    download: bool | None,
    as_json: bool,
    over_mpi: bool,
    **settings: Any,
) -> int:
    """Train PRESET without the app: 1 to 14, or the path of a .toml file.

    Ctrl+C saves the run and ends; --resume continues it.
    """
    given = {name: value for name, value in settings.items() if value not in (None, ())}

    def open_session(leader: Leader | None = None) -> Session:
        if resume is not None:
            if preset is not None or given:
                raise click.UsageError(
                    "--resume takes everything from the run: leave out the preset and its settings "
                    "(threads and chunk may differ)"
                )
            prepare_blas()
            return _resumed(runs, resume, threads, chunk, leader)
        if preset is None:
            raise click.UsageError("which preset? Give 1 to 14, before --data, as in `femtotui train 2`")
        config = _config(preset, {**given, "threads": threads or 0, "chunk": chunk or 0})
        prepare_blas()
        session = _new(config, runs, download, leader)
        if warning := too_many_threads(threads):
            say(f"note: {warning}: fewer would be faster")
        return session

    def record(session: Session) -> int:
        from ..trainer.session import train_headless  # noqa: PLC0415

        output = TrainingJson if as_json else TrainingBar if sys.stderr.isatty() else TrainingOutput
        with closing(output()) as shown:
            return train_headless(session, shown.show)

    if over_mpi:
        from ..mpi.launch import train_in_world  # noqa: PLC0415

        return train_in_world(open_session, record)
    return record(open_session())


def _config(preset: str, settings: dict[str, Any]) -> RunConfig:
    """A preset with the options that were given. Raises: FemtoError."""
    from femtotui.presets import load_preset, run_config  # noqa: PLC0415

    saving = {
        name: settings.pop(name) for name in ("checkpoint_seconds", "keep_checkpoints") & settings.keys()
    }
    config = run_config(load_preset(preset), **settings)
    return replace(config, train=replace(config.train, **saving))


def _new(config: RunConfig, folder: Path, download: bool | None, leader: Leader | None) -> Session:
    from femtotui.presets.sources import english_is_cached  # noqa: PLC0415

    from ..trainer.session import prepare  # noqa: PLC0415
    from .presets import fetch_english  # noqa: PLC0415

    if config.data.source == "english" and not english_is_cached():
        can_ask = sys.stdin.isatty() and sys.stderr.isatty() and download is None
        question = "Download the English text (1.1 MB)?"
        if download or (can_ask and click.confirm(question, default=True, err=True)):
            fetch_english()
    return prepare(config, folder) if leader is None else leader.prepare(config, folder)


def _resumed(
    folder: Path, name: str, threads: int | None, chunk: int | None, leader: Leader | None
) -> Session:
    from femtotui.core.run_folder.catalog import find_run  # noqa: PLC0415

    from ..trainer.session import continue_run  # noqa: PLC0415

    path = find_run(folder, name)
    if leader is not None:
        return leader.continue_run(path, threads, chunk)
    return continue_run(path, threads=threads, chunk=chunk)


class TrainingOutput:
    """The events of one training: a line per evaluation on standard error, the result on standard output."""

    def show(self, event: events.Event) -> None:
        """Show one event. Raises: BrokenPipeError if the reader has gone, OSError for any other failure.

        After that it may be called again: standard output goes nowhere then, messages are still printed.
        """
        if isinstance(event, events.RunStarted):
            _introduce(event)
        elif isinstance(event, events.SavingFailed):
            say(f"femtotui: not saved: {event.message}; training continues and tries again")
        try:
            self.show_progress(event)
        except OSError as error:
            discard_output()
            if isinstance(error, BrokenPipeError) or error.errno == errno.EINVAL:  # EINVAL: Windows
                raise BrokenPipeError from error
            say(f"femtotui: standard output cannot be written any more: {os_error_words(error)}")
            raise
        finally:
            if isinstance(event, events.RunFailed):
                where = f" (run: {event.run})" if event.run else ""
                say(f"femtotui: {event.title}: {event.message}{where}")
            elif isinstance(event, events.RunFinished) and event.reason == "stopped":
                resume = f"femtotui train --resume {shlex.quote(event.run)}"
                say(f"stopped at step {event.step:,}, saved; resume with: {resume}")
            elif isinstance(event, events.RunFinished):
                run = shlex.quote(event.run)
                say(f"next: femtotui sample {run}, femtotui eval {run}, or femtotui {run} to look at it")

    def show_progress(self, event: events.Event) -> None:
        if isinstance(event, events.EvalDone):
            losses = f"loss {event.train_loss:.4f}, validation {event.val_loss:.4f}"
            say(f"step {event.step:,}: {losses}, {duration(event.elapsed_s)}")
        elif isinstance(event, events.ScoreDone):
            say(f"step {event.step:,}: {event.summary}")
        elif isinstance(event, events.RunFinished):
            _print_result(event)

    def close(self) -> None:
        """End what is drawn."""


class TrainingJson(TrainingOutput):
    """One JSON object per event and line on standard output."""

    def show_progress(self, event: events.Event) -> None:
        print_json_line(event)


class TrainingBar(TrainingOutput):
    """Losses, time, speed and memory on one line, as far as there is room; drawn between steps."""

    def __init__(self) -> None:
        self.bar = ProgressBar(_BAR_WIDTH)
        self._steps = 0
        self._next_frame = 0.0
        self._loss: float | None = None
        self._ms: float | None = None
        self._validation = ""

    def show_progress(self, event: events.Event) -> None:
        match event:
            case events.RunStarted():
                self._steps = event.config.train.steps
                self.bar.start(event.step, self._steps)
            case events.StepDone():
                self._show_step(event)
            case events.EvalDone():
                self._validation = f" val {event.val_loss:.4f}"
            case events.ScoreDone(thorough=True):
                self.bar.stop(event.step)
                say(event.summary)
            case events.RunFinished():
                self.bar.stop(event.step)
                _print_result(event)
            case events.RunFailed():
                self.bar.stop()
            case _:
                pass

    def close(self) -> None:
        self.bar.stop()

    def _show_step(self, step: events.StepDone) -> None:
        self._loss, self._ms = _blend(self._loss, step.loss), _blend(self._ms, step.ms)
        if time.monotonic() < self._next_frame:
            return
        self._next_frame = time.monotonic() + _SECONDS_BETWEEN_FRAMES
        parts = (
            f"loss {self._loss:.4f}{self._validation}",
            f"{duration((self._steps - step.step) * self._ms / 1000)} left",
            f"{self._ms:.1f} ms/step",
            f"{duration(step.elapsed_s)} so far",
            f"{step.rss_mib:.0f} MiB",
        )
        room = self.bar.console.width - _BAR_WIDTH - 2 * len(f"{self._steps:,}") - _SPARE_COLUMNS
        self.bar.draw(step.step, _fitting(parts, room))


def _introduce(event: events.RunStarted) -> None:
    config = event.config
    verb = f"resuming at step {event.step:,}:" if event.resumed else "training"
    say(
        f"{verb} #{config.preset} {config.title} · {config.recipe.name} · {event.parameters:,} parameters · "
        f"{config.tokenizer.kind} · {event.data_name} · {config.train.steps:,} steps"
    )
    for note in event.notes:
        say(f"note: {note}")
    say(f"run: {event.run}")


def _print_result(event: events.RunFinished) -> None:
    print(
        f"step {event.step:,}, loss {event.train_loss:.4f}, validation {event.val_loss:.4f}, "
        f"{duration(event.elapsed_s)}, peak RAM {event.peak_rss_mib:.0f} MiB",
        flush=True,
    )


def _blend(before: float | None, now: float) -> float:
    return now if before is None else _SMOOTHING * before + (1 - _SMOOTHING) * now


def _fitting(parts: Sequence[str], room: int) -> str:
    """The first of `parts`, as many as fit into `room` characters."""
    lines = [" · ".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((line for line in lines if len(line) <= room), parts[0])
