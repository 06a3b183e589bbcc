"""The trainer process: `python -m femtotui.trainer.process`, driven by commands on its standard input.

It trains one run and ends. Standard output carries nothing but messages; whatever else is printed, by us or
by a library, goes to standard error. When its input ends, the app is gone: it saves and ends, unless the app
detached before; then it continues, and another app can attach to it (see remote).
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
from typing import TYPE_CHECKING

from femtotui.core.commands import Snapshot, Steering, Stop
from femtotui.core.errors import OUT_OF_MEMORY, FemtoError
from femtotui.core.events import RunFailed, RunFinished, RunStarted
from femtotui.core.files import open_own
from femtotui.core.run_folder.info import RunFile

from ..blas.kernel import prepare_blas
from ..text.safe import with_hint
from . import EXIT_BUG, EXIT_DONE, EXIT_FAILED
from .event_sender import EventSender
from .protocol import Channel, Continue, Detach, PipeChannel, ProtocolError, Start, receive_command

if TYPE_CHECKING:
    from femtotui.core.training.batches import Source
    from femtotui.core.training.training import Training

    from .session import Session


class Inbox:
    """Commands, read in threads of their own: the first order, and the steering that follows it."""

    def __init__(self, channel: PipeChannel) -> None:
        self.orders: SimpleQueue[Start | Continue | None] = SimpleQueue()
        self.steering: SimpleQueue[Steering] = SimpleQueue()
        self.detach_asked = False
        self.detached = False
        threading.Thread(target=self._read_pipe, args=(channel,), name="commands", daemon=True).start()

    def read(self, channel: Channel) -> None:
        """Sort the commands of an app. Raises: EOFError at their end, OSError, ProtocolError."""
        while True:
            match receive_command(channel):
                case Start() | Continue() as order:
                    self.orders.put(order)
                case Detach():
                    self.detach_asked = True
                    self.steering.put(Snapshot())  # the training answers it, and lets the app go then
                case command:
                    self.steering.put(command)
                    if isinstance(command, Stop):
                        self.orders.put(None)

    def _read_pipe(self, channel: PipeChannel) -> None:
        try:
            self.read(channel)
        except EOFError:
            pass
        except (OSError, ProtocolError) as error:
            print(f"commands end here: {error}", file=sys.stderr)
        if not (self.detach_asked or self.detached):
            self.steering.put(Stop())
        self.orders.put(None)


def main() -> int:
    """Train as the first command says. Returns the exit code."""
    channel = _take_over_pipes()
    inbox = Inbox(channel)
    _handle_signals(inbox)
    prepare_blas()
    sender = EventSender(channel, inbox.steering, inbox.read)
    from . import session  # noqa: F401, PLC0415  (NumPy loads while the app draws its first frame)

    order = inbox.orders.get()
    if order is None:
        return EXIT_DONE
    try:
        return _train(order, inbox, sender)
    finally:
        sender.close()


def _train(order: Start | Continue, inbox: Inbox, sender: EventSender) -> int:
    session: Session | None = None
    try:
        session = _open_session(order)
        history = isinstance(order, Continue) and order.history
        return _record(session, inbox, sender, history=history)
    except FemtoError as error:
        sender.report(_failure(session, error.title, with_hint(error)))
        return EXIT_FAILED
    except MemoryError:
        sender.report(_failure(session, *OUT_OF_MEMORY))
        return EXIT_FAILED
    except Exception as error:
        _log(session, traceback.format_exc())
        words = f"an error in femtotui itself: {type(error).__name__}: {error}"
        sender.report(_failure(session, "Training crashed", words))
        return EXIT_BUG
    finally:
        if session is not None:
            session.close()


def _open_session(order: Start | Continue) -> Session:
    from femtotui.core.run_folder.info import read_info  # noqa: PLC0415

    from .session import continue_run, prepare  # noqa: PLC0415
    from .text_transfer import read_text  # noqa: PLC0415

    source: Source | None = None
    if order.text:
        config = order.config if isinstance(order, Start) else read_info(Path(order.run)).config
        source = read_text(Path(order.text), config.data, config.train.seed)
    if isinstance(order, Start):
        return prepare(order.config, Path(order.runs), source=source)
    return continue_run(Path(order.run), source=source)


def _record(session: Session, inbox: Inbox, sender: EventSender, *, history: bool) -> int:
    def answer(training: Training) -> None:
        if inbox.detach_asked:
            # If the app cannot be let go, its end still ends the training.
            inbox.detached = sender.detach(training.step)
            inbox.detach_asked = False
        if sender.is_awaited:
            with suppress(FemtoError):  # then the last rows are missing from what the new app sees
                session.run.flush()
        sender.snapshot(training)

    code, past_step = EXIT_DONE, session.training.step
    for event in session.record(inbox.steering, answer):
        if isinstance(event, RunFinished):
            sender.snapshot(session.training)  # to sample from after this process has ended
        if isinstance(event, RunFailed):
            _log(session, f"{event.title}: {event.message}\n")
            code = EXIT_FAILED
        sender.report(event)
        if history and isinstance(event, RunStarted):
            sender.report_history(past_step)
    return code


def _failure(session: Session | None, title: str, message: str) -> RunFailed:
    if session is None:
        return RunFailed(step=0, title=title, message=message)
    return RunFailed(step=session.training.step, title=title, message=message, run=str(session.run.path))


def _log(session: Session | None, text: str) -> None:
    """Write an error to the run's log, and to standard error, whose last lines the app shows."""
    print(text, file=sys.stderr)
    if session is not None:
        path = session.run.path / RunFile.TRAINER_LOG
        with suppress(OSError), open(path, "a", encoding="utf-8", opener=open_own) as log:
            log.write(text)


def _take_over_pipes() -> PipeChannel:
    """The pipes, moved off descriptors 0 and 1, so that no stray print or read can break a frame."""
    stream_in = os.fdopen(os.dup(0), "rb")
    stream_out = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return PipeChannel(stream_in, stream_out)


def _handle_signals(inbox: Inbox) -> None:
    """Ignore Ctrl+C, which is the app's; save first when asked to end."""

    def stop(_number: int, _frame: object) -> None:
        inbox.steering.put(Stop())
        inbox.orders.put(None)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)


if __name__ == "__main__":
    sys.exit(main())
