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

import sys
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

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


def _sequence_length(lead: int) -> int:
    """The bytes of the UTF-8 sequence that `lead` opens; 1 for a byte that opens none."""
    if 0xC2 <= lead <= 0xDF:
        return 2
    if 0xE0 <= lead <= 0xEF:
        return 3
    if 0xF0 <= lead <= 0xF4:
        return 4
    return 1


def _code_points(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Each code point with the range of its bytes; "" stands for a byte that is not UTF-8."""
    position = 0
    while position < len(data):
        stop = position + _sequence_length(data[position])
        try:
            character = data[position:stop].decode("utf-8")
        except UnicodeDecodeError:
            character, stop = "", position + 1
        yield character, position, stop
        position = stop


def glyphs(data: bytes, offset: int = 0) -> list[Glyph]:
    """The glyphs of `data`; their ranges count from `offset`, for a part of a longer text."""
    return [
        Glyph(*(_drawn(character) if character else _byte_escape(data[start])), offset + start, offset + stop)
        for character, start, stop in _code_points(data)
    ]


def _byte_escape(byte: int) -> tuple[str, int, GlyphKind]:
    return f"‹{byte:02x}›", 4, "escape"


def incomplete_tail(data: bytes) -> int:
    """The number of bytes at the end (0 to 3) that open a UTF-8 sequence which more bytes may complete."""
    for length in range(1, min(3, len(data)) + 1):
        tail = data[-length:]
        if tail[0] >= 0xC0:
            return length if _sequence_length(tail[0]) > length and _may_continue(tail) else 0
    return 0


def _may_continue(tail: bytes) -> bool:
    """Whether some continuation bytes make `tail` valid: the least and the greatest ones decide."""
    missing = _sequence_length(tail[0]) - len(tail)
    for filler in (b"\x80", b"\xbf"):
        with suppress(UnicodeDecodeError):
            (tail + filler * missing).decode("utf-8")
            return True
    return False


# -- lines and texts -----------------------------------------------------------------------------------------


def _pieces(text: str | bytes) -> Iterator[tuple[str, str, int]]:
    """For each code point: itself ("" for a stray byte), what is drawn for it, and how wide that is."""
    if isinstance(text, bytes):
        characters = ((c, start) for c, start, _ in _code_points(text))
    else:
        characters = ((c, 0) for c in text)
    for character, start in characters:
        if character:
            drawn, width, _ = _drawn(character)
        else:
            drawn, width, _ = _byte_escape(text[start])  # type: ignore[arg-type]  # only bytes have these
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


def say(message: str) -> None:
    """Print one inert line on standard error, if anybody reads it."""
    with suppress(OSError, ValueError):
        encoding = sys.stderr.encoding or "utf-8"
        line = one_line(message).encode(encoding, "replace").decode(encoding)
        print(line, file=sys.stderr, flush=True)
