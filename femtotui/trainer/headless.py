"""Training without a screen: to its end, or until a signal or a closed output stops it, saved."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING

from femtotui.core.commands import Steering, Stop
from femtotui.core.events import Event, RunFailed

from . import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from .session import Session

EXIT_SIGNAL = 128
"""The exit code of a process ended by a signal is 128 plus the signal's number."""


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
