"""A prompt and the tokens after it, as glyphs wrapped into lines. Pure; the view only colours it.

A character whose bytes come from several tokens belongs to all of them; while its last bytes are missing
they are shown one by one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from ..text.safe import Glyph, glyphs, incomplete_tail

PROMPT = -1


class TokenLayout:
    """Lines of glyphs, at most `width` cells each, that grow as tokens arrive.

    Tokens are numbered from 0; the prompt is number -1. A newline ends its line; the glyph for it is drawn
    at the end.
    """

    def __init__(self, width: int = 80) -> None:
        self._width = max(width, 1)
        self._data = bytearray()
        self._ends: list[int] = []
        self._prompt_size = 0
        self._glyphs: list[Glyph] = []
        self._line_starts = [0]

    @property
    def n_lines(self) -> int:
        return len(self._line_starts)

    def reset(self, prompt: bytes = b"") -> None:
        self._data = bytearray(prompt)
        self._ends, self._prompt_size = [], len(prompt)
        self._rebuild(0)

    def set_width(self, width: int) -> None:
        if max(width, 1) != self._width:
            self._width = max(width, 1)
            self._line_starts = [0]
            self._wrap(0)

    def extend(self, tokens: Iterable[bytes]) -> int:
        """Append tokens; the first line that looks different now."""
        stable = len(self._data) - incomplete_tail(bytes(self._data[-4:]))
        for token in tokens:
            self._data += token
            self._ends.append(len(self._data))
        return self._rebuild(stable)

    def line(self, index: int) -> list[Glyph]:
        """The glyphs of a line; none for a line that does not exist."""
        if not 0 <= index < self.n_lines:
            return []
        stop = self._line_starts[index + 1] if index + 1 < self.n_lines else len(self._glyphs)
        return self._glyphs[self._line_starts[index] : stop]

    def tokens_of(self, glyph: Glyph) -> range:
        """The tokens that a glyph's bytes come from; the prompt is -1."""
        return range(self._token_at(glyph.start), self._token_at(glyph.stop - 1) + 1)

    def lines_of(self, token: int) -> range:
        """The lines that show some of a token (or, for one without a glyph of its own, what it completes)."""
        start = self._ends[token - 1] if token else self._prompt_size
        first = self._glyph_at(start)
        last = self._glyph_at(max(self._ends[token] - 1, start))
        return range(self._line_of(first), self._line_of(last) + 1)

    def token_at(self, line: int, column: int) -> int | None:
        """The token drawn at a cell, or the last of its line if the line is shorter; None for the prompt."""
        owner = None
        right = 0
        for glyph in self.line(line):
            owner = self.tokens_of(glyph)[-1]
            right += glyph.width
            if column < right:
                break
        return None if owner is None or owner == PROMPT else owner

    def column_of(self, token: int) -> int:
        """The column where a token begins in the first of its lines."""
        column = 0
        for glyph in self.line(self.lines_of(token).start):
            if token in self.tokens_of(glyph):
                break
            column += glyph.width
        return column

    def _token_at(self, byte: int) -> int:
        return PROMPT if byte < self._prompt_size else bisect_right(self._ends, byte)

    def _glyph_at(self, byte: int) -> int:
        """The index of the glyph that covers a byte."""
        return max(bisect_right(self._glyphs, byte, key=lambda glyph: glyph.start) - 1, 0)

    def _line_of(self, glyph_index: int) -> int:
        return bisect_right(self._line_starts, glyph_index) - 1

    def _rebuild(self, stable: int) -> int:
        """Read the bytes again from `stable` on and wrap what follows; the first line that changed."""
        keep = bisect_right(self._glyphs, stable - 1, key=lambda glyph: glyph.start) if stable else 0
        del self._glyphs[keep:]
        self._glyphs += glyphs(bytes(self._data[stable:]), stable)
        line = bisect_right(self._line_starts, max(keep - 1, 0)) - 1
        del self._line_starts[line + 1 :]
        self._wrap(self._line_starts[line])
        return line

    def _wrap(self, first: int) -> None:
        """Break the glyphs from index `first`, which begins the last line there is, into lines."""
        used = 0
        for index in range(first, len(self._glyphs)):
            glyph = self._glyphs[index]
            if index > self._line_starts[-1] and (
                used + glyph.width > self._width or self._glyphs[index - 1].kind == "newline"
            ):
                self._line_starts.append(index)
                used = 0
            used += glyph.width
