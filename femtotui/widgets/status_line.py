"""The line above the keys: what happened last."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from ..tones import TONES, Tone
from ..wording import printable


class StatusLine(Static):
    """News at the left, small figures at the right where there is room for both."""

    def __init__(self) -> None:
        super().__init__(id="status")
        self.news = ""
        self._tone: Tone = "plain"
        self._figures = ""

    def say(self, news: str, tone: Tone = "plain") -> None:
        """Show one line of news; it stays until the next."""
        self.news, self._tone = printable(news), tone
        self.refresh()

    def show_figures(self, figures: str) -> None:
        """Show small figures at the right edge."""
        if figures != self._figures:
            self._figures = figures
            self.refresh()

    def render(self) -> Content:
        width = self.content_size.width
        news = Content.styled(self.news, TONES[self._tone])
        room = width - cell_len(self._figures) - 2
        if not self._figures or cell_len(self.news) > room:
            return news.truncate(width, ellipsis=True)
        gap = " " * (width - cell_len(self.news) - cell_len(self._figures))
        return Content.assemble(news, gap, (self._figures, "$foreground-muted"))
