"""Training without the app: events go to a `Face`, and a signal saves and stops."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Protocol

import msgspec

from femtotui.core.commands import Steering, Stop
from femtotui.core.events import EvalDone, Event, RunFailed, RunFinished, RunStarted, SavingFailed, ScoreDone
from femtotui.core.files import os_error_words

from ..text.formats import duration
from ..text.safe import say
from . import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from .session import Session

EXIT_SIGNAL = 128
"""The exit code of a process ended by a signal is 128 plus the signal's number."""


class Face(Protocol):
    """Output for events."""

    def show(self, event: Event) -> None:
        """Raises: OSError if the output is closed."""
        ...

    def close(self) -> None: ...


def train_headless(session: Session, face: Face) -> int:
    """Train to the end, or until a signal or a closed output saves and stops it. Returns the exit code."""
    commands: SimpleQueue[Steering] = SimpleQueue()
    last: Event | None = None
    closed: OSError | None = None
    try:
        with stop_on_signals(commands) as received:
            for event in session.record(commands):
                last = event
                if isinstance(event, RunStarted):
                    _introduce(event)
                elif isinstance(event, SavingFailed):
                    say(f"femtotui: not saved: {event.message}; training continues, and tries again")
                if closed is None:
                    closed = _show(face, event)
                    if closed is not None:
                        commands.put(Stop())
    finally:
        face.close()
        session.close()
    code = _conclude(last, received[0] if received else None)
    return code if closed is None else max(code, _exit_code_of(closed))


class JsonLines:
    """One JSON object a line on standard output; each can be read as soon as it is written."""

    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder()

    def show(self, event: Event) -> None:
        sys.stdout.buffer.write(self._encoder.encode(event) + b"\n")
        sys.stdout.buffer.flush()

    def close(self) -> None:
        return


class PlainLines:
    """A line an evaluation on standard error, for logs; the result on standard output."""

    def show(self, event: Event) -> None:
        if isinstance(event, EvalDone):
            say(
                f"step {event.step:,}: loss {event.train_loss:.4f}, validation {event.val_loss:.4f}, "
                f"{duration(event.elapsed_s)}"
            )
        elif isinstance(event, ScoreDone):
            say(f"step {event.step:,}: {event.summary}")
        elif isinstance(event, RunFinished):
            print(result_line(event), flush=True)

    def close(self) -> None:
        return


def result_line(event: RunFinished) -> str:
    """What came out of a run, on one line."""
    return (
        f"step {event.step:,}, loss {event.train_loss:.4f}, validation {event.val_loss:.4f}, "
        f"{duration(event.elapsed_s)}, peak RAM {event.peak_rss_mib:.0f} MiB"
    )


def _show(face: Face, event: Event) -> OSError | None:
    """Show an event; return the error if the output is closed."""
    try:
        face.show(event)
    except OSError as error:
        # The rest of the buffer must not fail again when Python ends.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
        return error
    return None


def _exit_code_of(closed: OSError) -> int:
    """A reader that ended early (`head`) is no error; anything else is reported."""
    if isinstance(closed, BrokenPipeError) or closed.errno == errno.EINVAL:  # EINVAL: Windows
        return EXIT_DONE
    say(f"femtotui: standard output cannot be written any more: {os_error_words(closed)}")
    return EXIT_FAILED


def _introduce(event: RunStarted) -> None:
    config = event.config
    verb = f"resumed at step {event.step:,}:" if event.resumed else "training"
    say(
        f"{verb} #{config.preset} {config.title} · {config.recipe.name} · {event.parameters:,} parameters · "
        f"{config.tokenizer.kind} · {event.data_name} · {config.train.steps:,} steps"
    )
    for note in event.notes:
        say(f"note: {note}")
    say(f"run: {event.run}")


def _conclude(last: Event | None, signal_number: int | None) -> int:
    """Report the end on standard error; return the exit code."""
    if isinstance(last, RunFailed):
        say(f"femtotui: {last.title}: {last.message}" + (f" (run: {last.run})" if last.run else ""))
        return EXIT_FAILED
    if isinstance(last, RunFinished) and last.reason == "stopped":
        resume = f"femtotui train --resume {shlex.quote(last.run)}"
        say(f"stopped at step {last.step:,}, saved; resume it with: {resume}")
    return EXIT_SIGNAL + signal_number if signal_number else EXIT_DONE


@contextmanager
def stop_on_signals(commands: SimpleQueue[Steering]) -> Iterator[list[int]]:
    """Turn the first signal into Stop; a second Ctrl+C ends at once. Yields the signals received."""
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        commands.put(Stop())
        signal.signal(signal.SIGINT, signal.default_int_handler)

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # An ignored signal stays ignored, as nohup promises.
    previous = {n: signal.signal(n, stop) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
