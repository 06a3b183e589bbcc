"""How `femtotui sample` shows tokens: coloured on a terminal, plain in a pipe, as JSON for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console

from femtotui.core.sampling.sampler import SampledToken

from ..text.safe import incomplete_tail, plain_text
from ..tokens.colours import TokenPaint
from ..tokens.export_formats import JsonSample, log_prob_line, text_of
from ..tokens.scoring import TextScore

TERMINAL_SECONDS = 0.03
"""Tokens go to a terminal in pieces, at most this often: it is slower than the model."""


@dataclass(frozen=True)
class Task:
    """What is shown of a sample or, if `scored`, of a text that was given.

    `log_probs` asks for a line a token in the journal's notation instead of the text.
    """

    prompt: bytes
    prompt_given: bool
    model: str
    seed: int | None
    scored: bool
    log_probs: bool


@dataclass(frozen=True)
class Result:
    """What came out: `tokens_per_s` counts the model's time alone."""

    reading: TextScore
    tokens_per_s: float


class Face(Protocol):
    """Shows one sample."""

    def begin(self, task: Task) -> None: ...
    def token(self, token: SampledToken) -> None: ...
    def end(self, result: Result) -> None: ...


def show(tokens: Iterator[SampledToken], face: Face, task: Task) -> Result:
    """Let `face` show all tokens; the clock runs while the model works, not while they are printed.

    Raises: FemtoError; OSError when nobody reads any more.
    """
    reading, seconds = TextScore(), 0.0
    face.begin(task)
    while True:
        began = time.perf_counter()
        token = next(tokens, None)
        seconds += time.perf_counter() - began
        if token is None:
            break
        reading = reading.plus((token,))
        face.token(token)
    result = Result(reading, reading.n_tokens / max(seconds, 1e-9))
    face.end(result)
    return result


class JsonFace:
    """One object on standard output."""

    def __init__(self) -> None:
        self._sample = JsonSample()

    def begin(self, task: Task) -> None:
        fields = {"model": task.model, "prompt": text_of(task.prompt), "seed": task.seed}
        sys.stdout.write(self._sample.begin(**fields))

    def token(self, token: SampledToken) -> None:
        sys.stdout.write(self._sample.token(token))

    def end(self, result: Result) -> None:
        reading = result.reading
        end = self._sample.end(
            tokens_per_s=round(result.tokens_per_s, 1),
            bits_per_byte=reading.bits_per_byte if reading.n_bytes else None,
            perplexity=reading.perplexity,
        )
        sys.stdout.write(end + "\n")
        sys.stdout.flush()


class PlainFace:
    """The text alone, harmless, or of a scored one the figures; for log-probs, a line a token."""

    def __init__(self) -> None:
        self._task: Task | None = None
        self._waiting = b""
        self._ends_line = True

    def begin(self, task: Task) -> None:
        self._task = task
        if task.prompt_given and not task.log_probs and not task.scored:
            self._write(task.prompt)

    def token(self, token: SampledToken) -> None:
        if self._task is not None and self._task.log_probs:
            sys.stdout.write(log_prob_line(token) + "\n")
        elif self._task is not None and not self._task.scored:
            self._waiting += token.bytes
            whole = len(self._waiting) - incomplete_tail(self._waiting)
            self._write(self._waiting[:whole])
            self._waiting = self._waiting[whole:]

    def end(self, result: Result) -> None:
        self._write(self._waiting)
        if not self._ends_line:
            sys.stdout.write("\n")
        if self._task is not None and self._task.scored:
            sys.stdout.write(f"{result.reading}\n")
        sys.stdout.flush()

    def _write(self, data: bytes) -> None:
        if data:
            sys.stdout.write(plain_text(data))
            self._ends_line = data.endswith(b"\n")


class TerminalFace:
    """Every token on a colour for its probability, as it comes; what the colours mean at the end."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._paint = TokenPaint.for_console(self._console)
        self._task: Task | None = None
        self._piece: list[SampledToken] = []
        self._printed = 0.0

    def begin(self, task: Task) -> None:
        self._task = task
        if task.prompt_given and not task.log_probs:
            self._console.print(self._paint.prompt(task.prompt), end="", soft_wrap=True)

    def token(self, token: SampledToken) -> None:
        if self._task is not None and self._task.log_probs:
            self._console.print(log_prob_line(token), soft_wrap=True)
            return
        self._piece.append(token)
        if time.monotonic() - self._printed >= TERMINAL_SECONDS:
            self._print_piece()

    def _print_piece(self) -> None:
        self._console.print(self._paint.tokens(self._piece), end="", soft_wrap=True)
        self._piece, self._printed = [], time.monotonic()

    def end(self, result: Result) -> None:
        if self._task is not None and not self._task.log_probs:
            self._print_piece()
            self._console.print(self._paint.rest(), soft_wrap=True)
            self._console.print(self._paint.legend(self._console.width))
        if self._task is not None and self._task.scored:
            self._console.print(str(result.reading))


def face_for(as_json: bool) -> Face:
    """The face for whoever reads standard output."""
    if as_json:
        return JsonFace()
    return TerminalFace() if sys.stdout.isatty() else PlainFace()
