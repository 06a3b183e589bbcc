"""A sample in the forms that one takes away: text, JSON, log-probs, SVG and HTML."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME, TerminalTheme
from textual.color import Color

from femtotui.core.errors import DataError
from femtotui.core.files import os_error_words, write_atomically
from femtotui.core.sampling.sampler import Alternative, SampledToken

from ..text.safe import plain_text, printable
from .colours import DARK_GROUND, LIGHT_GROUND, TokenPaint
from .scoring import AlternativeLike, TokenLike

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


def text_of(data: bytes) -> str:
    """Bytes as JSON text; the tokens' own `bytes` keep what is not UTF-8."""
    return data.decode("utf-8", "replace")


def alternative_fields(entry: Alternative) -> dict[str, object]:
    """One alternative, for `json`."""
    return {"id": entry.id, "bytes": list(entry.bytes), "p": entry.p, "p_cut": entry.p_cut}


def token_fields(token: SampledToken) -> dict[str, object]:
    """One token, for `json`; `bytes` is a list of numbers from 0 to 255."""
    return {
        "id": token.id,
        "bytes": list(token.bytes),
        "p": token.p,
        "p_cut": token.p_cut,
        "rank": token.rank,
        "surprise_bits": token.surprise_bits,
        "entropy_bits": token.entropy_bits,
        "top": [alternative_fields(entry) for entry in token.top],
    }


class JsonSample:
    """One object, piece by piece, so that a long sample takes no more memory than a short one."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._n_tokens = 0

    def begin(self, **fields: object) -> str:
        """What comes before the tokens: what is known beforehand."""
        return json.dumps(fields)[:-1] + ', "tokens": ['

    def token(self, token: SampledToken) -> str:
        """One more token."""
        self._text += token.bytes
        self._n_tokens += 1
        return (", " if self._n_tokens > 1 else "") + json.dumps(token_fields(token))

    def end(self, **fields: object) -> str:
        """What comes after them: the text, and what is only known at the end."""
        return "], " + json.dumps({"text": text_of(bytes(self._text)), **fields})[1:]


def json_pieces(prompt: bytes, tokens: Iterator[SampledToken], **fields: object) -> Iterator[str]:
    """A whole sample: `prompt`, `fields`, `tokens` and `text`."""
    sample = JsonSample()
    yield sample.begin(prompt=text_of(prompt), **fields)
    yield from map(sample.token, tokens)
    yield sample.end()


def quoted_token(token: bytes) -> str:
    r"""A token between quotes, inert: newlines and tabs as in a string (`'\n'`), other bytes as `\xe2`."""
    text = token.decode("utf-8", "backslashreplace").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{printable(text.replace(chr(9), chr(92) + 't'))}'"


def log_probs(alternatives: Iterable[AlternativeLike]) -> str:
    """One distribution, best first."""
    entries = ", ".join(f"({quoted_token(a.bytes)}, {100 * a.p:.1f}%)" for a in alternatives)
    return f"[{entries}]"


def log_prob_lines(tokens: Sequence[TokenLike]) -> str:
    """A line a token: what came, how likely it was, and what was likely there."""
    return "".join(f"{log_prob_line(token)}\n" for token in tokens)


def log_prob_line(token: TokenLike) -> str:
    """What came, how likely it was, and the likeliest at its place."""
    return f"{quoted_token(token.bytes)} {100 * token.p:.1f}% {log_probs(token.top)}"
