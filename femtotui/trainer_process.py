"""The trainer process: `python -m femtotui.trainer_process`, driven by frames on its standard input.

It trains one run and ends. Standard output carries nothing but frames; whatever else is printed, by us or
by a library, goes to standard error. If its input ends, the app is gone: it saves and ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, BinaryIO

from femtotui.core.commands import Steering, Stop
from femtotui.core.errors import FemtoError
from femtotui.core.events import Event, RunFailed, RunFinished, StepDone

from .commands import Continue, Start
from .environment import prepare_blas
from .wire import SnapshotFrame, WireError, events_frame, read_command, write_frame

if TYPE_CHECKING:
    from femtotui.core.train import Training

    from .session import Session

SECONDS_BETWEEN_BATCHES = 0.1
LOG_NAME = "trainer.log"

EXIT_DONE = 0
EXIT_BUG = 1
EXIT_FAILED = 2


class Reporter:
    """Sends events to the app: steps in batches, at most ten a second, everything else at once.

    When nobody reads any more it falls silent, and asks the training to save and stop.
    """

    def __init__(self, stream: BinaryIO, steering: SimpleQueue[Steering]) -> None:
        self._stream = stream
        self._steering = steering
        self._waiting: list[Event] = []
        self._due = 0.0
        self._open = True

    def report(self, event: Event) -> None:
        self._waiting.append(event)
        if not isinstance(event, StepDone) or time.monotonic() >= self._due:
            waiting, self._waiting = self._waiting, []
            self._due = time.monotonic() + SECONDS_BETWEEN_BATCHES
            self._write(events_frame(waiting))

    def snapshot(self, training: Training) -> None:
        """Sends the parameters as they are now."""
        parameters_P = training.parameters_P.astype("<f4", copy=False)
        self._write(SnapshotFrame(training.step, training.recent_loss, parameters_P.data.cast("B")))

    def _write(self, frame: SnapshotFrame | object) -> None:
        if not self._open:
            return
        try:
            write_frame(self._stream, frame)  # type: ignore[arg-type]
        except OSError:
            self._open = False
            self._steering.put(Stop())


class Inbox:
    """Reads commands in a thread of its own: the first order, and the steering that follows it."""

    def __init__(self, stream: BinaryIO) -> None:
        self.orders: SimpleQueue[Start | Continue | None] = SimpleQueue()
        self.steering: SimpleQueue[Steering] = SimpleQueue()
        self._stream = stream
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def _read(self) -> None:
        try:
            while (command := read_command(self._stream)) is not None:
                if isinstance(command, Start | Continue):
                    self.orders.put(command)
                else:
                    self.steering.put(command)
                    if isinstance(command, Stop):
                        break
        except (OSError, WireError) as error:
            print(f"commands end here: {error}", file=sys.stderr)
        self.steering.put(Stop())
        self.orders.put(None)


def main() -> int:
    """Trains what the first command says. Returns the exit code."""
    stream_in, stream_out = _take_over_pipes()
    inbox = Inbox(stream_in)
    _obey_signals(inbox)
    prepare_blas()
    reporter = Reporter(stream_out, inbox.steering)
    from . import session  # noqa: F401, PLC0415  (NumPy loads while the app draws its first frame)

    order = inbox.orders.get()
    if order is None:
        return EXIT_DONE
    return _train(order, inbox, reporter)


def _train(order: Start | Continue, inbox: Inbox, reporter: Reporter) -> int:
    session: Session | None = None
    try:
        session = _open_session(order)
        return _record(session, inbox, reporter)
    except FemtoError as error:
        reporter.report(_failure(session, error.title, str(error)))
        return EXIT_FAILED
    except MemoryError:
        words = (
            "this machine has no memory left for it: take a smaller model, batch or chunk, or fewer threads"
        )
        reporter.report(_failure(session, "Out of memory", words))
        return EXIT_FAILED
    except Exception as error:
        _log(session, traceback.format_exc())
        words = f"an error in femtotui itself: {type(error).__name__}: {error}"
        reporter.report(_failure(session, "The training broke off", words))
        return EXIT_BUG
    finally:
        if session is not None:
            session.training.close()


def _open_session(order: Start | Continue) -> Session:
    from .session import continue_run, prepare  # noqa: PLC0415

    if isinstance(order, Start):
        return prepare(order.config, Path(order.runs))
    return continue_run(Path(order.run))


def _record(session: Session, inbox: Inbox, reporter: Reporter) -> int:
    from femtotui.core.recorder import record  # noqa: PLC0415

    code = EXIT_DONE
    for event in record(
        session.run,
        session.training,
        inbox.steering,
        on_snapshot=reporter.snapshot,
        notes=session.notes,
    ):
        if isinstance(event, RunFinished):
            reporter.snapshot(session.training)  # to sample from when this process is gone
        if isinstance(event, RunFailed):
            _log(session, f"{event.title}: {event.message}\n")
            code = EXIT_FAILED
        reporter.report(event)
    return code


def _failure(session: Session | None, title: str, message: str) -> RunFailed:
    if session is None:
        return RunFailed(step=0, title=title, message=message)
    return RunFailed(step=session.training.step, title=title, message=message, run=str(session.run.path))


def _log(session: Session | None, text: str) -> None:
    """Keeps what went wrong with the run, and on standard error, which the app keeps."""
    print(text, file=sys.stderr)
    if session is not None:
        with suppress(OSError), (session.run.path / LOG_NAME).open("a", encoding="utf-8") as log:
            log.write(text)


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes, moved off descriptors 0 and 1, so that no stray print or read can break a frame."""
    stream_in = os.fdopen(os.dup(0), "rb")
    stream_out = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return stream_in, stream_out


def _obey_signals(inbox: Inbox) -> None:
    """Ctrl+C belongs to the app; being asked to end means saving first."""

    def stop(_number: int, _frame: object) -> None:
        inbox.steering.put(Stop())
        inbox.orders.put(None)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)


if __name__ == "__main__":
    sys.exit(main())
