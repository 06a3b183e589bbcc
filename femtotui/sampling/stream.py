"""Sampling beside a training: background threads, tokens in pieces, and when to ask for a snapshot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

from textual.message import Message

from femtotui.core.errors import FemtoError
from femtotui.core.sampling.sampler import JOURNAL_PROMPT, SampledToken

from ..runs.state import RunState, Status

SAMPLE_TOKENS = 160
"""Enough to fill the pane, and drawn in a fraction of a second."""

RESAMPLE_SECONDS = 5.0
"""Seconds of training between two automatic samples; at first, when much changes, one."""

RESAMPLE_SECONDS_PER_MILLION = 4.0
"""The same per million parameters, which have to be sent and folded: a hundredth of a core, or less."""

FIRST_RESAMPLE_SECONDS = 1.0

BUSY_SHARE = 0.01
"""The share of a core that a streaming sample takes from the training beside it."""

PIECE_SECONDS = 0.2
"""Tokens travel to the screen in pieces, at most this often; the first one at once."""

GENTLE_PIECE_SECONDS = 0.5
"""The same beside a training: drawing a piece takes more of the processor than computing it."""

_WORTH_A_REST = 5e-5
"""Seconds: most tokens come out of a block that was computed before, in no time."""

_LONGEST_REST = 1.0

Post = Callable[[Message], object]
Cancelled = Callable[[], bool]


class BackgroundTasks:
    """Named background threads; a new task cancels the running one of the same name.

    A task receives a function that posts messages until the task is cancelled, and one that says whether it
    is. Its arguments are released when it ends: a Textual worker keeps them, a large model's parameters among
    them, in a reference cycle until the next garbage collection.
    """

    def __init__(self, post: Post) -> None:
        self._post = post
        self._cancelled: dict[str, threading.Event] = {}

    def start(self, name: str, task: Callable[[Post, Cancelled], object]) -> None:
        """Run a task, which must handle its own errors."""
        self.cancel(name)
        cancelled = self._cancelled[name] = threading.Event()

        def post(message: Message) -> None:
            if not cancelled.is_set():
                with suppress(RuntimeError):  # the app has just ended
                    self._post(message)

        threading.Thread(target=task, args=(post, cancelled.is_set), name=name).start()

    def cancel(self, name: str) -> None:
        if name in self._cancelled:
            self._cancelled[name].set()

    def close(self) -> None:
        for cancelled in self._cancelled.values():
            cancelled.set()


def failure_words(error: Exception) -> str:
    """An error of a background task in words; a bug there must not end the training beside it."""
    if isinstance(error, FemtoError):
        return str(error)
    if isinstance(error, OSError):
        return f"a file of the run cannot be read: {error.strerror or error}"
    return f"an error in femtotui itself: {type(error).__name__}: {error}"


# -- samples -------------------------------------------------------------------------------------------


def prompt_bytes(typed: str) -> bytes:
    r"""The bytes of a typed prompt: an empty one is the journal's newline; `\n` and `\t` are escapes."""
    typed = typed.replace("\\n", "\n").replace("\\t", "\t")
    return typed.encode("utf-8", errors="replace") or JOURNAL_PROMPT


@dataclass(frozen=True)
class Piece:
    """Some tokens of a stream; the last piece is `done`, and `failure` says why the stream ended early."""

    tokens: tuple[SampledToken, ...]
    done: bool = False
    failure: str = ""


def stream(
    tokens: Callable[[], Iterator[SampledToken]],
    send: Callable[[Piece], object],
    cancelled: Cancelled,
    *,
    gently: bool = False,
) -> None:
    """Send tokens in pieces, the first at once. `gently` leaves the processor to the training."""
    waiting: list[SampledToken] = []
    sent, pause = 0.0, GENTLE_PIECE_SECONDS if gently else PIECE_SECONDS
    failure = ""
    try:
        for token in rested(tokens()) if gently else tokens():
            if cancelled():
                return
            waiting.append(token)
            if time.monotonic() - sent >= pause:
                send(Piece(tuple(waiting)))
                waiting, sent = [], time.monotonic()
    except Exception as error:
        failure = failure_words(error)
    if not cancelled():
        send(Piece(tuple(waiting), done=True, failure=failure))


def rested(tokens: Iterator[SampledToken]) -> Iterator[SampledToken]:
    """The same tokens, the first at once, with rests that reduce the work to `BUSY_SHARE` of a core."""
    for number in count():
        began = time.thread_time()  # other threads' use of the core is not made up for
        token = next(tokens, None)
        worked = time.thread_time() - began
        if token is None:
            return
        yield token
        if number and worked > _WORTH_A_REST:
            time.sleep(min(worked * (1 / BUSY_SHARE - 1), _LONGEST_REST))


# -- snapshots -----------------------------------------------------------------------------------------


class Pace:
    """Says when a snapshot is due: at a run's first steps, every few seconds of training, and at a pause.

    Time alone makes none due while the last sample is being drawn, which takes half a minute for a large
    model. With `every_steps`, one is due at each multiple of that many steps instead. The last one needs no
    asking: a trainer that finishes sends its parameters.
    """

    def __init__(self) -> None:
        self.every_steps = 0
        self._view: RunState | None = None
        self._status: Status | None = None
        self._elapsed_s = 0.0
        self._step = 0
        self._interval = FIRST_RESAMPLE_SECONDS

    def set_every(self, steps: str) -> str:
        """Make a snapshot due every so many steps, or with "" every few seconds; what is invalid, else ""."""
        if steps and not (steps.isdecimal() and int(steps)):
            return "every how many steps? A whole number above 0, or nothing"
        self.every_steps = int(steps or 0)
        return ""

    def due(self, view: RunState, *, drawing: bool) -> bool:
        """Whether to ask for a snapshot now; the caller then asks. `drawing`: a sample is being drawn."""
        if view.step == 0 or view.status not in {Status.TRAINING, Status.PAUSED}:
            return False
        due = (
            view is not self._view
            or (view.status is Status.PAUSED and self._status is not Status.PAUSED)
            or (not drawing and self._is_time(view))
        )
        if due:
            later = max(RESAMPLE_SECONDS, RESAMPLE_SECONDS_PER_MILLION * (view.parameters or 0) / 1e6)
            self._interval = min(later, max(FIRST_RESAMPLE_SECONDS, view.elapsed_s))
            self._elapsed_s, self._step = view.elapsed_s, view.step
        self._view, self._status = view, view.status
        return due

    def _is_time(self, view: RunState) -> bool:
        if self.every_steps:
            # Counted from multiples, so that frames lie near round steps whenever the last one was drawn.
            return view.step // self.every_steps != self._step // self.every_steps
        return abs(view.elapsed_s - self._elapsed_s) >= self._interval
