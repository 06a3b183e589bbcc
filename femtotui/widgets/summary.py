"""The panels in a line or two, for terminals where the panels do not fit."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

_SEPARATOR = " · "


def in_lines(facts: Sequence[str], width: int) -> str:
    """The facts in as many lines as they need; none is broken in two."""
    lines: list[str] = []
    for fact in facts:
        if lines and cell_len(lines[-1]) + len(_SEPARATOR) + cell_len(fact) <= width:
            lines[-1] += f"{_SEPARATOR}{fact}"
        else:
            lines.append(fact)
    return "\n".join(lines)


class Summary(Static):
    """Facts of a run in a line or two."""

    def __init__(self) -> None:
        super().__init__(id="summary")
        self._facts: list[str] = []
        self._height = 0

    def show_facts(self, facts: list[str]) -> None:
        """Show these."""
        if facts != self._facts:
            self._facts = facts
            self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        """Where it is hidden, nothing; and the screen is laid out anew only for another number of lines."""
        if not self.display:
            return
        text = in_lines(self._facts, self.content_size.width)
        before, self._height = self._height, text.count("\n") + 1
        self.update(Content(text), layout=self._height != before)
