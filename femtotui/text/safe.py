r"""Arbitrary bytes and hostile text as visible, inert characters.

A terminal obeys some of what it receives: escape sequences, carriage returns, marks that turn the writing
direction or take no room. Text from data or a model must never reach it as such. Everything here turns it
into characters that only ever draw themselves, and whose width in cells is known:

    ⏎  →  ·          newline, tab, and space (which stays a space in the functions that return a line)
    ␛  ␀  ␡  ...     control bytes, as Unicode control pictures
    ‹e2›             a byte that is not part of valid UTF-8, or not yet
    \u202e           a code point that is invisible, combining, private, unassigned, or moves its neighbours

Letters and ideographs stay themselves, double width included. Nothing returned is markup: hand it to
Rich and Textual as Segments or Content.
"""

from __future__ import annotations

import codecs
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from femtotui.core.errors import (
    FemtoError,
    NoCheckpointError,
    RunLockedError,
    TextUnavailableError,
    UnknownPresetError,
)
from femtotui.core.files import escape

GlyphKind = Literal["text", "space", "newline", "escape"]

ELLIPSIS = "…"
_TAB_WIDTH = 4
_CONTROL_PICTURES = 0x2400

# Marks combine with what stands before them; Cc, Cf, Cs, Co, Cn and the separators other than space are
# invisible, undefined, or move other characters.
_ESCAPED_CATEGORIES = frozenset(("Mn", "Mc", "Me", "Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"))

# Visible, yet terminals fuse them with their neighbours: Hangul jamo, halves of flags, skin tones.
_FUSING_RANGES = (
    (0x1100, 0x11FF),
    (0xA960, 0xA97F),
    (0xD7B0, 0xD7FF),
    (0x1F1E6, 0x1F1FF),
    (0x1F3FB, 0x1F3FF),
)

_SPECIAL: dict[str, tuple[str, GlyphKind]] = {
    **{chr(code): (chr(_CONTROL_PICTURES + code), "escape") for code in range(0x20)},
    "\x7f": ("␡", "escape"),
    "\n": ("⏎", "newline"),
    "\t": ("→", "space"),
    " ": ("·", "space"),
}


@dataclass(frozen=True, slots=True)
class Glyph:
    """One character of the source as it is drawn.

    `text` takes exactly `width` cells; `start` and `stop` bound the bytes of the source that it stands for.
    """

    text: str
    width: int
    kind: GlyphKind
    start: int
    stop: int


@lru_cache(maxsize=4096)
def _drawn(character: str) -> tuple[str, int, GlyphKind]:
    """The text that is drawn for one code point, its width in cells, and the kind of glyph."""
    if character in _SPECIAL:
        drawn, kind = _SPECIAL[character]
        return drawn, 1, kind
    width = _inert_width(character)
    if width:
        return character, width, "text"
    drawn = escape(character)
    return drawn, len(drawn), "escape"


def _inert_width(character: str) -> int:
    """The cells that a code point takes; 0 if it must not be drawn as itself."""
    from rich.cells import get_character_cell_size  # noqa: PLC0415  (`--help` does not wait for Rich)

    fuses = any(low <= ord(character) <= high for low, high in _FUSING_RANGES)
    if fuses or unicodedata.category(character) in _ESCAPED_CATEGORIES:
        return 0
    return get_character_cell_size(character)


# -- bytes: UTF-8 that may be cut or broken ------------------------------------------------------------------


def _decoded(data: bytes) -> Iterator[tuple[str, tuple[str, int, GlyphKind], int]]:
    """Each code point, as `_drawn` draws it, and its number of bytes; "" for a byte that is not UTF-8."""
    for character in data.decode("utf-8", "surrogateescape"):
        if "\udc80" <= character <= "\udcff":
            yield "", (f"‹{ord(character) - 0xDC00:02x}›", 4, "escape"), 1
        else:
            yield character, _drawn(character), len(character.encode())


def glyphs(data: bytes, offset: int = 0) -> list[Glyph]:
    """The glyphs of `data`; their ranges count from `offset`, for a part of a longer text."""
    found = []
    for _, drawn, n_bytes in _decoded(data):
        found.append(Glyph(*drawn, offset, offset + n_bytes))
        offset += n_bytes
    return found


def incomplete_tail(data: bytes) -> int:
    """The number of bytes at the end (0 to 3) that open a UTF-8 sequence which more bytes may complete."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data[-3:])
    tail = decoder.getstate()[0]
    return 0 if b"\xed\xa0" <= tail < b"\xee" else len(tail)  # surrogates, which Python waits for


# -- lines and texts -----------------------------------------------------------------------------------------


def _pieces(text: str | bytes) -> Iterator[tuple[str, str, int]]:
    """Each code point ("" for a byte that is not UTF-8), the text drawn for it, and its width in cells."""
    decoded = _decoded(text) if isinstance(text, bytes) else ((c, _drawn(c), 0) for c in text)
    for character, (drawn, width, _), _ in decoded:
        yield character, " " if character == " " else drawn, width


def one_line(text: str | bytes, width: int | None = None) -> str:
    """`text` on one line, inert; cut to `width` cells with an ellipsis where it is longer."""
    if width is None and isinstance(text, str) and text.isascii() and text.isprintable():
        return text
    if width is not None and width <= 0:
        return ""
    kept: list[tuple[str, int]] = []
    used = 0
    for _, drawn, cells in _pieces(text):
        if width is not None and used + cells > width:
            while used > width - 1:
                used -= kept.pop()[1]
            return "".join(part for part, _ in kept) + ELLIPSIS
        kept.append((drawn, cells))
        used += cells
    return "".join(part for part, _ in kept)


def narrow_line(text: str | bytes, width: int | None = None) -> str:
    """Like `one_line`, with every character one cell wide: for grids where a cell holds one character."""
    narrowed = (
        drawn if cells == len(drawn) else "".join(map(escape, drawn)) for _, drawn, cells in _pieces(text)
    )
    return one_line("".join(narrowed), width)


def unwrapped(text: str) -> str:
    """A title or a message on one line, inert; any run of spaces and newlines becomes one space."""
    return one_line(" ".join(text.split()))


def printable(text: str | bytes) -> str:
    """`text` for a plain terminal: newlines break lines, tabs become spaces, all else is inert."""
    return plain_text(text).replace("\t", " " * _TAB_WIDTH)


def plain_text(text: str | bytes) -> str:
    """`text` for a file or a pipe: newlines and tabs are themselves, all else is inert."""
    return "".join(source if source in ("\n", "\t") else drawn for source, drawn, _ in _pieces(text))


def harmless(text: str) -> str:
    """`text` without the characters that are not drawn as themselves; newlines and tabs stay."""
    return "".join(c for c in text if c in "\n\t " or _drawn(c)[0] == c)


# -- messages ------------------------------------------------------------------------------------------------

_HINTS = {
    RunLockedError: "attach to it with `femtotui attach`, or end that process first",
    NoCheckpointError: "c saves one in the app",
    TextUnavailableError: "`--data FILE` trains on your own text",
    UnknownPresetError: "`femtotui presets` lists them",
}


def with_hint(error: FemtoError) -> str:
    """The message of an error, with the key or command that helps; the core knows neither."""
    hint = next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), "")
    return f"{error}; {hint}" if hint else str(error)


def say(message: str) -> None:
    """Print one inert line on standard error, if anybody reads it."""
    with suppress(OSError, ValueError):
        encoding = sys.stderr.encoding or "utf-8"
        line = one_line(message).encode(encoding, "replace").decode(encoding)
        print(line, file=sys.stderr, flush=True)
