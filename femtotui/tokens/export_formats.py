"""A sample as a file: text, JSON, log-probs, SVG and HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME, TerminalTheme
from textual.color import Color

from femtotui.core.errors import DataError
from femtotui.core.files import os_error_words, write_atomically

from ..installation import lasting_path
from ..text.safe import plain_text, printable
from .colours import DARK_GROUND, LIGHT_GROUND, TokenPaint

if TYPE_CHECKING:
    from femtotui.core.sampling.distribution import SampledToken

WIDTH = 100
SVG_GROUND = Color(*SVG_EXPORT_THEME.background_color)
_LIGHT_THEME = TerminalTheme((255, 255, 255), (20, 20, 20), [(20, 20, 20)] * 8, [(90, 90, 90)] * 8)


@dataclass(frozen=True)
class Sample:
    """A prompt and the tokens after it, with the title and seed that an export mentions."""

    prompt: bytes
    tokens: Sequence[SampledToken]
    title: str
    seed: int | None
    is_dark: bool = True


def export(sample: Sample, name: str) -> Path:
    """Write a sample in the format that the file's ending names; the path of the file.

    Raises: DataError for another ending, or when the file cannot be written.
    """
    path = lasting_path(name)
    make = FORMATS.get(path.suffix.lstrip(".").lower())
    if make is None:
        endings = ", ".join(f".{name}" for name in FORMATS)
        raise DataError(f"{path.name} has no ending that names a format: use one of {endings}")
    try:
        write_atomically(path, make(sample).encode("utf-8", "replace"))
    except OSError as error:
        raise DataError(f"cannot write {path}: {os_error_words(error)}") from error
    return path


# -- SVG, HTML -----------------------------------------------------------------------------------------


def as_svg(sample: Sample) -> str:
    """The coloured text as a picture."""
    return recorded_svg(_painted(sample), sample.title, _theme(sample))


def recorded_svg(console: Console, title: str, theme: TerminalTheme = SVG_EXPORT_THEME) -> str:
    """What a recording console has printed as a picture, with no font fetched from elsewhere."""
    svg = console.export_svg(title=title, theme=theme)
    # Rich's two rules for a web font come first; the console's own text comes after them, and stays.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, count=2, flags=re.DOTALL)
    return svg.replace("<text ", '<text xml:space="preserve" ')  # some viewers drop spaces otherwise


def as_html(sample: Sample) -> str:
    return _painted(sample).export_html(theme=_theme(sample), inline_styles=True)


def _theme(sample: Sample) -> TerminalTheme:
    return SVG_EXPORT_THEME if sample.is_dark else _LIGHT_THEME


def _painted(sample: Sample) -> Console:
    """A recording console that has printed the sample."""
    console = Console(
        record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor", markup=False
    )
    paint = TokenPaint(ground=DARK_GROUND if sample.is_dark else LIGHT_GROUND)
    console.print(paint.prompt(sample.prompt) + paint.tokens(sample.tokens) + paint.rest())
    console.print(paint.legend(WIDTH))
    return console


# -- JSON ----------------------------------------------------------------------------------------------


class JsonSample:
    """A JSON object written piece by piece: a long sample takes no more memory than a short one."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._n_tokens = 0

    def begin(self, **fields: object) -> str:
        """The beginning, with the fields that are known beforehand."""
        return json.dumps(fields)[:-1] + ', "tokens": ['

    def token(self, token: SampledToken) -> str:
        """One more token; its `bytes` are a list of numbers from 0 to 255."""
        self._text += token.bytes
        self._n_tokens += 1
        names = ("p", "p_cut", "rank", "surprise_bits", "entropy_bits")
        fields = {
            "id": token.id,
            "bytes": list(token.bytes),
            **{name: getattr(token, name) for name in names},
            "top": [
                {"id": entry.id, "bytes": list(entry.bytes), "p": entry.p, "p_cut": entry.p_cut}
                for entry in token.top
            ],
        }
        return (", " if self._n_tokens > 1 else "") + json.dumps(fields)

    def end(self, **fields: object) -> str:
        """The end: the text, and the fields that are only known now."""
        return "], " + json.dumps({"text": text_of(bytes(self._text)), **fields})[1:]


def text_of(data: bytes) -> str:
    """Bytes as JSON text; the `bytes` of the tokens keep what is not UTF-8."""
    return data.decode("utf-8", "replace")


def as_json(sample: Sample) -> str:
    """The text with every token's probabilities, as `femtotui sample --json` prints it."""
    pieces = JsonSample()
    begin = pieces.begin(prompt=text_of(sample.prompt), model=sample.title, seed=sample.seed)
    return "".join((begin, *map(pieces.token, sample.tokens), pieces.end(), "\n"))


# -- log-probs, in the journal's notation --------------------------------------------------------------


def quoted_token(token: bytes) -> str:
    r"""A token between quotes, inert: newlines and tabs as in a string (`'\n'`), other bytes as `\xe2`."""
    text = token.decode("utf-8", "backslashreplace").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{printable(text.replace(chr(9), chr(92) + 't'))}'"


def log_prob_line(token: SampledToken) -> str:
    """A token, its probability, and the most probable ones in its place, best first."""
    top = ", ".join(f"({quoted_token(other.bytes)}, {100 * other.p:.1f}%)" for other in token.top)
    return f"{quoted_token(token.bytes)} {100 * token.p:.1f}% [{top}]"


def log_prob_lines(tokens: Iterable[SampledToken]) -> str:
    return "".join(f"{log_prob_line(token)}\n" for token in tokens)


FORMATS: dict[str, Callable[[Sample], str]] = {
    "txt": lambda sample: plain_text(sample.prompt + b"".join(token.bytes for token in sample.tokens)),
    "json": as_json,
    "logprobs": lambda sample: log_prob_lines(sample.tokens),
    "svg": as_svg,
    "html": as_html,
}
