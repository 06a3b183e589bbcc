"""Coloured tokens for a plain terminal, and for Rich's exports; inert, as everything that is drawn."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable

from rich.console import Console
from rich.style import Style
from rich.text import Text
from textual.color import Color

from .palette import shade_of, shades, text_on
from .safe_text import glyphs, incomplete_tail
from .token_legend import fitting_legend, plain_style
from .token_protocol import TokenLike

DARK_GROUND = Color.parse("#121212")
LIGHT_GROUND = Color.parse("#f5f5f5")
PROMPT_STYLE = Style(dim=True)
_LIGHT_COLORFGBG = ("7", "15")


class TokenPaint:
    """Turns tokens into styled text as they come; a character waits until its last byte is there."""

    def __init__(self, *, ground: Color = DARK_GROUND, in_colour: bool = True) -> None:
        self._ground, self._in_colour = ground, in_colour
        self._waiting: list[TokenLike] = []

    @classmethod
    def for_console(cls, console: Console) -> TokenPaint:
        """Colours as far as the terminal has them; attributes where it has 16 of them, or none."""
        few = console.color_system in (None, "standard", "windows")
        # What some terminals say of themselves, "15;0": the last number is the background.
        is_light = os.environ.get("COLORFGBG", "").rpartition(";")[2] in _LIGHT_COLORFGBG
        return cls(ground=LIGHT_GROUND if is_light else DARK_GROUND, in_colour=not (few or console.no_color))

    def prompt(self, prompt: bytes) -> Text:
        """A prompt, quiet."""
        return _drawn(prompt, PROMPT_STYLE)

    def tokens(self, tokens: Iterable[TokenLike]) -> Text:
        """What can be shown now that these tokens have come."""
        painted = Text()
        for token in tokens:
            self._waiting.append(token)
            if not incomplete_tail(b"".join(waiting.bytes for waiting in self._waiting)):
                painted.append_text(self.rest())
        return painted

    def rest(self) -> Text:
        """What still waits, as it is."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return Text()
        data = b"".join(token.bytes for token in waiting)
        return _drawn(data, self.style(math.prod(token.p for token in waiting)))

    def style(self, p: float) -> Style:
        """The look of a probability. What was expected looks like any text."""
        shade = shade_of(p)
        if not self._in_colour:
            return plain_style(shade)
        if shade == 0:
            return Style()
        background = shades(self._ground)[shade]
        return Style.from_color(text_on(background).rich_color, background.rich_color)

    def legend(self, width: int) -> Text:
        """What the looks mean."""
        lead, entries = fitting_legend(width, self._in_colour)
        return Text.assemble(lead, *((f" {name} ", self.style(p)) for name, p in entries))


def _drawn(data: bytes, style: Style) -> Text:
    """Bytes as they are drawn; a space stays one, and a newline is seen and breaks the line, too."""
    text = Text()
    for glyph in glyphs(data):
        is_space = glyph.kind == "space" and glyph.text == "·"
        text.append(" " if is_space else glyph.text, style)
        if glyph.kind == "newline":
            text.append("\n")
    return text
