"""The top line: which preset trains, on what, and how it stands."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from ..run_view import RunView, Status
from ..wording import printable

NAME = "femtotui"
_MARKS = {
    Status.STARTING: ("◌", "$foreground-muted"),
    Status.TRAINING: ("●", "$text-success"),
    Status.PAUSED: ("‖", "$text-warning"),
    Status.PARKED: ("‖", "$text-warning"),
    Status.FINISHED: ("✓", "$text-success"),
    Status.FAILED: ("✗", "$text-error"),
}


def header_facts(view: RunView) -> list[str]:
    """What the line says of a run, the most important first; a narrow terminal shows fewer of them."""
    config = view.config
    facts = [f"#{config.preset} {config.title}", config.recipe.name]
    if view.parameters is not None:
        facts.append(f"{view.parameters:,} parameters")
    facts.append(config.tokenizer.kind)
    facts.append(view.started.data_name if view.started is not None else config.data.source)
    return [printable(fact) for fact in facts]


def as_many_as_fit(facts: Sequence[str], width: int, separator: str = " · ") -> str:
    """As many facts as `width` cells hold; an ellipsis stands for those left out."""
    whole = separator.join(facts)
    if cell_len(whole) <= width:
        return whole
    for count in range(len(facts) - 1, 0, -1):
        shown = separator.join(facts[:count]) + " …"
        if cell_len(shown) <= width:
            return shown
    return facts[0][: max(0, width - 1)] + "…" if facts else ""


class Header(Static):
    """One line: the name of the program, the facts of the run, and its status at the right edge."""

    def __init__(self) -> None:
        super().__init__(id="header")
        self._facts: list[str] = []
        self._mark, self._tone, self._status = "", "$foreground-muted", "nothing is training"

    def show_run(self, view: RunView | None) -> None:
        """Show a run, or that none is there."""
        before = self._facts, self._mark, self._status
        if view is None:
            self._facts, self._mark, self._tone, self._status = (
                [],
                "",
                "$foreground-muted",
                "nothing is training",
            )
        else:
            self._facts = header_facts(view)
            self._mark, self._tone = _MARKS[view.status]
            self._status = view.status.value
        if before != (self._facts, self._mark, self._status):
            self.refresh()

    def show_saving(self) -> None:
        """Say that the program saves and is about to leave."""
        self._mark, self._tone, self._status = "◌", "$text-warning", "saving…"
        self.refresh()

    def render(self) -> Content:
        width = self.content_size.width
        status = f"{self._mark} {self._status}".strip()
        room = width - cell_len(status) - 2
        show_name = room > len(NAME) + 40
        name = f"{NAME}   " if show_name else ""
        facts = as_many_as_fit(self._facts, room - len(name))
        gap = " " * max(1, width - len(name) - cell_len(facts) - cell_len(status))
        return Content.assemble(
            (name, "bold $text-accent"), (facts, "$text"), gap, (status, f"bold {self._tone}")
        )
