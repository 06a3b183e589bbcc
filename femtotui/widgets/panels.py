"""Small boxes with one number each."""

from __future__ import annotations

import re
from typing import ClassVar

from rich.segment import Segment
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from ..safe_text import one_line

_LEADING_NUMBER = re.compile(r"-?\d[\d.,]*")
_SMALL_SHRINK = 2


class StatPanel(Widget):
    """A bordered box: a title, a main line that catches the eye, and two quieter lines below it.

    A number at the start of a line keeps its right edge when it loses a digit or two, so that a speed that
    swings between 9.8 and 10.2 does not push its unit to and fro.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"stat-panel--main", "stat-panel--sub"}
    DEFAULT_CSS = """
    StatPanel {
        width: 1fr;
        min-width: 10;
        height: 5;
        border: round $foreground 25%;
        border-title-color: $text-muted;
        padding: 0 0 0 1;
        & > .stat-panel--main { color: $text; text-style: bold; }
        & > .stat-panel--sub { color: $text-muted; }
    }
    """

    def __init__(
        self,
        title: str,
        *,
        main: str = "–",
        sub: str = "",
        name: str | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
        disabled: bool = False,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes, disabled=disabled)
        self.border_title = Content(one_line(title))
        self._number_widths = [0, 0, 0]
        self._lines = ("", "", "")
        self.update(main, sub)

    @property
    def main(self) -> str:
        """The main line as it is shown."""
        return self._lines[0]

    @property
    def sub(self) -> str:
        """The line below it as it is shown."""
        return self._lines[1]

    @property
    def more(self) -> str:
        """The third line as it is shown, where the box is high enough."""
        return self._lines[2]

    def update(self, main: str, sub: str = "", more: str = "") -> None:
        """Show the lines; only what differs from what is shown is drawn again."""
        lines = (self._steady(0, main), self._steady(1, sub), self._steady(2, more))
        before, self._lines = self._lines, lines
        rows = [row for row in range(len(lines)) if lines[row] != before[row]]
        if rows:
            self.refresh(*(Region(0, row, max(self.content_size.width, 1), 1) for row in rows))

    def _steady(self, row: int, text: str) -> str:
        """`text` on one line, its leading number padded to the width that such numbers had lately."""
        text = one_line(text)
        number = _LEADING_NUMBER.match(text)
        width = len(number[0]) if number else 0
        shrink = self._number_widths[row] - width
        if not number or not 0 <= shrink <= _SMALL_SHRINK:
            self._number_widths[row] = width
            return text
        return " " * shrink + text

    def render_line(self, y: int) -> Strip:
        """The main line, the lines below it, and nothing else; a lost end is marked."""
        width = self.content_size.width
        if not 0 <= y < len(self._lines):
            return Strip.blank(width, self.rich_style)
        style = self.get_component_rich_style(f"stat-panel--{'sub' if y else 'main'}")
        fitted = one_line(cut_at_word(self._lines[y], width), width)
        return Strip([Segment(fitted, style)]).adjust_cell_length(width, style)


def cut_at_word(text: str, width: int) -> str:
    """`text` without the words that do not fit, and a sign for them: half a number is another number."""
    if len(text) > width:
        text = text.lstrip()
    words = text.split(" ")
    while len(text) > width and len(words) > 1:
        words.pop()
        text = " ".join(words) + " …"
    return text
