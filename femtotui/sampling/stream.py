"""Sampling from a model that trains: what to draw, when, and how gently. No Textual in here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from femtotui.core.errors import FemtoError
from femtotui.core.sampling.sampler import JOURNAL_PROMPT, JOURNAL_SAMPLING, SampledToken, Sampling

from ..runs.state import RunState, Status
from .models import LiveModel

SAMPLE_TOKENS = 160
"""Enough to fill the pane, and drawn in a fraction of a second."""

RESAMPLE_SECONDS = 5.0
"""Seconds of training between two samples drawn without being asked for; at first, when much changes, one."""

RESAMPLE_SECONDS_A_MILLION = 4.0
"""The same for every million parameters, which have to be sent and folded: a hundredth of a core, or less."""

FIRST_RESAMPLE_SECONDS = 1.0

BUSY_SHARE = 0.01
"""The share of a core that a streaming sample takes from the training that goes on beside it."""

PIECE_SECONDS = 0.2
"""Tokens travel to the screen in pieces, at most this often; the first one at once."""

GENTLE_PIECE_SECONDS = 0.5
"""The same beside a training: drawing a piece takes more of the processor than working it out."""

_ESCAPES = {"\\n": "\n", "\\t": "\t"}


def prompt_bytes(typed: str) -> bytes:
    r"""What a typed prompt stands for: nothing is the journal's newline, and `\n` and `\t` are themselves."""
    for escape, meaning in _ESCAPES.items():
        typed = typed.replace(escape, meaning)
    return typed.encode("utf-8", errors="replace") or JOURNAL_PROMPT


@dataclass(frozen=True)
class SampleTask:
    """One sample to draw: by which model, after which prompt."""

    model: LiveModel
    prompt: bytes
    seed: int

    @property
    def sampling(self) -> Sampling:
        return replace(JOURNAL_SAMPLING, seed=self.seed)


def draw(task: SampleTask) -> Iterator[SampledToken]:
    """The tokens of a sample, one by one.

    Raises: FemtoError children, such as TokenizerError for a prompt that a char tokenizer cannot encode;
        OSError if the run's tokenizer cannot be read.
    """
    yield from task.model.sampler().generate(task.prompt, SAMPLE_TOKENS, task.sampling)


@dataclass(frozen=True)
class Piece:
    """Some tokens of a stream; the last piece is `done`, and `failure` says why, if it ended early."""

    tokens: tuple[SampledToken, ...]
    done: bool = False
    failure: str = ""


def stream(
    tokens: Callable[[], Iterator[SampledToken]],
    send: Callable[[Piece], object],
    cancelled: Callable[[], bool],
    *,
    gently: bool = False,
) -> None:
    """Send tokens on in pieces, the first at once. `gently` leaves the processor to the training."""
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
    except FemtoError as error:
        failure = str(error)
    except OSError as error:
        failure = f"a file of the run cannot be read: {error.strerror or error}"
    except Exception as error:  # a bug here must not end the training that goes on beside it
        failure = f"an error in femtotui itself: {type(error).__name__}: {error}"
    if not cancelled():
        send(Piece(tuple(waiting), done=True, failure=failure))


def rested(tokens: Iterator[SampledToken]) -> Iterator[SampledToken]:
    """The same tokens, the first at once, with rests that bring the work down to `BUSY_SHARE` of a core."""
    first = next(tokens, None)
    if first is None:
        return
    yield first
    while True:
        began = time.thread_time()  # what others do with the core meanwhile is not ours to make up for
        token = next(tokens, None)
        worked = time.thread_time() - began
        if token is None:
            return
        yield token
        if worked > _WORTH_A_REST:
            time.sleep(min(worked * (1 / BUSY_SHARE - 1), _LONGEST_REST))


_WORTH_A_REST = 5e-5
"""Seconds: most tokens come out of a block that was worked out before, in no time."""

_LONGEST_REST = 1.0


class Pace:
    """Says when a snapshot is due: at a run's first steps, every few seconds of training, and at a pause.

    Time alone makes none due as long as the last sample is being drawn, which takes half a minute gently
    where the model is large.

    With `every_steps`, every so many steps instead of seconds. The last one comes unasked: a trainer that has
    finished sends its parameters and is gone.
    """

    def __init__(self) -> None:
        self.every_steps = 0
        self._view: RunState | None = None
        self._status: Status | None = None
        self._elapsed_s = 0.0
        self._step = 0
        self._interval = FIRST_RESAMPLE_SECONDS

    def due(self, view: RunState, *, drawing: bool) -> bool:
        """Whether to ask for a snapshot now; asking is taken as done. `drawing`: a sample is under way."""
        if view.step == 0 or view.status not in {Status.TRAINING, Status.PAUSED}:
            return False
        due = (
            view is not self._view
            or (view.status is Status.PAUSED and self._status is not Status.PAUSED)
            or (not drawing and self._is_time(view))
        )
        if due:
            self._interval = min(_resample_seconds(view), max(FIRST_RESAMPLE_SECONDS, view.elapsed_s))
            self._elapsed_s, self._step = view.elapsed_s, view.step
        self._view, self._status = view, view.status
        return due

    def _is_time(self, view: RunState) -> bool:
        if self.every_steps:
            # Counted from multiples, so that frames lie near round steps whenever the last one was taken.
            return view.step // self.every_steps != self._step // self.every_steps
        return abs(view.elapsed_s - self._elapsed_s) >= self._interval


def _resample_seconds(view: RunState) -> float:
    return max(RESAMPLE_SECONDS, RESAMPLE_SECONDS_A_MILLION * (view.parameters or 0) / 1e6)
