"""A sample in the forms that one takes away: text, JSON, log-probs, SVG and HTML."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME, TerminalTheme
from textual.color import Color

from femtotui.core.errors import DataError
from femtotui.core.files import os_error_words, write_atomically
from femtotui.core.sample import SampledToken

from .journal_notation import log_prob_lines
from .safe_text import plain_text
from .token_json import json_pieces
from .token_paint import DARK_GROUND, LIGHT_GROUND, TokenPaint

WIDTH = 100
_LIGHT_THEME = TerminalTheme((255, 255, 255), (20, 20, 20), [(20, 20, 20)] * 8, [(90, 90, 90)] * 8)


@dataclass(frozen=True)
class Sample:
    """What is exported: a prompt, the tokens after it, and what it is of."""

    prompt: bytes
    tokens: Sequence[SampledToken]
    title: str
    seed: int | None
    is_dark: bool = True

    @property
    def data(self) -> bytes:
        return b"".join(token.bytes for token in self.tokens)


def as_text(sample: Sample) -> str:
    """The text alone, the prompt before it; inert."""
    return plain_text(sample.prompt + sample.data)


def as_json(sample: Sample) -> str:
    """The text with every token's probabilities, as `femtotui sample --json` gives it."""
    pieces = json_pieces(sample.prompt, iter(sample.tokens), model=sample.title, seed=sample.seed)
    return "".join(pieces) + "\n"


def as_log_probs(sample: Sample) -> str:
    """A line a token, in the journal's notation."""
    return log_prob_lines(sample.tokens)


def as_svg(sample: Sample) -> str:
    """The coloured text as a picture, with no font fetched from elsewhere."""
    svg = _painted(sample).export_svg(title=sample.title, theme=_theme(sample))
    # Rich's two rules for a web font come first; what the model wrote comes after them, and stays.
    return re.sub(r"@font-face \{.*?\}", "", svg, count=2, flags=re.DOTALL)


def as_html(sample: Sample) -> str:
    """The coloured text as a page of its own."""
    return _painted(sample).export_html(theme=_theme(sample), inline_styles=True)


FORMATS: dict[str, Callable[[Sample], str]] = {
    "txt": as_text,
    "json": as_json,
    "logprobs": as_log_probs,
    "svg": as_svg,
    "html": as_html,
}


def export(sample: Sample, path: Path) -> None:
    """Write a sample in the format that the file's ending names.

    Raises: DataError for another ending, or when the file cannot be written.
    """
    make = FORMATS.get(path.suffix.lstrip(".").lower())
    if make is None:
        endings = ", ".join(f".{name}" for name in FORMATS)
        raise DataError(f"{path.name} has no ending that says what it should be: take one of {endings}")
    try:
        write_atomically(path, make(sample).encode("utf-8", "replace"))
    except OSError as error:
        raise DataError(f"cannot write {path}: {os_error_words(error)}") from error


def _theme(sample: Sample) -> TerminalTheme:
    return SVG_EXPORT_THEME if sample.is_dark else _LIGHT_THEME


def _ground(sample: Sample) -> Color:
    return DARK_GROUND if sample.is_dark else LIGHT_GROUND


def _painted(sample: Sample) -> Console:
    """A console that has drawn the sample and kept it."""
    console = Console(
        record=True,
        width=WIDTH,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        markup=False,
    )
    paint = TokenPaint(ground=_ground(sample))
    text = paint.prompt(sample.prompt)
    text.append_text(paint.tokens(sample.tokens))
    text.append_text(paint.rest())
    console.print(text)
    console.print(paint.legend(WIDTH))
    return console
