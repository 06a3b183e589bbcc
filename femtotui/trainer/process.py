"""The trainer process: `python -m femtotui.trainer.process`, driven by frames on its standard input.

It trains one run and ends. Standard output carries nothing but frames; whatever else is printed, by us or
by a library, goes to standard error. If its input ends, the app is gone: it saves and ends, unless the app
said Detach before; then it goes on, and another app can attach to it (see door.py).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, BinaryIO

from femtotui.core.commands import Snapshot, Steering, Stop
from femtotui.core.errors import FemtoError
from femtotui.core.events import RunFailed, RunFinished, RunStarted
from femtotui.core.files import open_own

from ..blas.environment import prepare_blas
from ..text.hints import with_hint
from .event_sender import LOG_NAME, EventSender
from .priority import give_way
from .protocol import Continue, Detach, Start, WireError, read_command

if TYPE_CHECKING:
    from femtotui.core.config import RunConfig
    from femtotui.core.training.batches import Source
    from femtotui.core.training.training import Training

    from .session import Session

EXIT_DONE = 0
EXIT_BUG = 1
EXIT_FAILED = 2


class Inbox:
    """Reads commands in a thread of its own: the first order, and the steering that follows it."""

    def __init__(self, stream: BinaryIO) -> None:
        self.orders: SimpleQueue[Start | Continue | None] = SimpleQueue()
        self.steering: SimpleQueue[Steering] = SimpleQueue()
        self.detaching = False
        self._stream = stream
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def _read(self) -> None:
        try:
            while (command := read_command(self._stream)) is not None:
                if isinstance(command, Start | Continue):
                    self.orders.put(command)
                elif isinstance(command, Detach):
                    self.detaching = True
                    self.steering.put(Snapshot())  # the training looks up, and lets the app go
                else:
                    self.steering.put(command)
                    if isinstance(command, Stop):
                        break
        except (OSError, WireError) as error:
            print(f"commands end here: {error}", file=sys.stderr)
        if not self.detaching:
            self.steering.put(Stop())
        self.orders.put(None)


def main() -> int:
    """Trains what the first command says. Returns the exit code."""
    stream_in, stream_out = _take_over_pipes()
    inbox = Inbox(stream_in)
    _obey_signals(inbox)
    give_way(os.environ)  # after the thread that reads commands: that one stays quick
    prepare_blas()
    reporter = EventSender(stream_out, inbox.steering)
    from . import session  # noqa: F401, PLC0415  (NumPy loads while the app draws its first frame)

    order = inbox.orders.get()
    if order is None:
        return EXIT_DONE
    try:
        return _train(order, inbox, reporter)
    finally:
        reporter.close()


def _train(order: Start | Continue, inbox: Inbox, reporter: EventSender) -> int:
    session: Session | None = None
    try:
        session = _open_session(order)
        history = isinstance(order, Continue) and order.history
        return _record(session, inbox, reporter, history=history)
    except FemtoError as error:
        reporter.report(_failure(session, error.title, with_hint(error)))
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
            session.close()


def _open_session(order: Start | Continue) -> Session:
    from femtotui.core.run_folder.info import read_info  # noqa: PLC0415

    from .session import continue_run, prepare  # noqa: PLC0415

    if isinstance(order, Start):
        return prepare(order.config, Path(order.runs), source=_source(order.text, order.config))
    run = Path(order.run)
    return continue_run(run, source=_source(order.text, read_info(run).config) if order.text else None)


def _source(text: str, config: RunConfig) -> Source | None:
    """The text in the file that an order names, if it names one."""
    from .text_transfer import read_text  # noqa: PLC0415

    return read_text(Path(text), config.data, config.train.seed) if text else None


def _record(session: Session, inbox: Inbox, reporter: EventSender, *, history: bool) -> int:
    def answer(training: Training) -> None:
        if inbox.detaching:
            # If the app cannot be let go, it stays what keeps the training alive.
            inbox.detaching = reporter.detach(training.step)
        if reporter.is_awaited:
            with suppress(FemtoError):  # then the last rows are missing from what the newcomer sees
                session.run.flush()
        reporter.snapshot(training)

    code, past_step = EXIT_DONE, session.training.step
    for event in session.record(inbox.steering, answer):
        if isinstance(event, RunFinished):
            reporter.snapshot(session.training)  # to sample from when this process is gone
        if isinstance(event, RunFailed):
            _log(session, f"{event.title}: {event.message}\n")
            code = EXIT_FAILED
        reporter.report(event)
        if history and isinstance(event, RunStarted):
            reporter.report_history(past_step)
    return code


def _failure(session: Session | None, title: str, message: str) -> RunFailed:
    if session is None:
        return RunFailed(step=0, title=title, message=message)
    return RunFailed(step=session.training.step, title=title, message=message, run=str(session.run.path))


def _log(session: Session | None, text: str) -> None:
    """Keeps what went wrong with the run, and on standard error, which the app keeps."""
    print(text, file=sys.stderr)
    if session is not None:
        path = session.run.path / LOG_NAME
        with suppress(OSError), open(path, "a", encoding="utf-8", opener=open_own) as log:
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
