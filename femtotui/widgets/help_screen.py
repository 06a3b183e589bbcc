"""Help: the keys of a screen, read from its bindings, and the meaning of what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget

from .dialogs import ModalInTurn

Rows = tuple[tuple[str, str], ...]
Sections = Sequence[tuple[str, Rows]]
_NAME_WIDTH = 10


def key_rows(*nodes: DOMNode) -> Rows:
    """The keys of screens, widgets and the app, with their tooltips; keys with the same one share a row."""
    rows: dict[str, list[str]] = {}
    owners = [(node, owner) for node in nodes for owner in type(node).__mro__]
    for node, owner in owners:
        if owner.__module__.startswith("textual."):
            continue
        for binding in Binding.make_bindings(vars(owner).get("BINDINGS", ())):
            if binding.tooltip:
                keys = rows.setdefault(binding.tooltip, [])
                display = node.app.get_key_display(binding)
                if display not in " ".join(keys).split():
                    keys.append(display)
    return tuple((" ".join(keys), tooltip[0].lower() + tooltip[1:]) for tooltip, keys in rows.items())


class HelpText(Widget):
    """Sections of two columns: names, and their meanings."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"help-text--name"}
    DEFAULT_CSS = """
    HelpText {
        height: auto;
        & > .help-text--name { color: $text-accent; text-style: bold; }
    }
    """

    def __init__(self, sections: Sections) -> None:
        super().__init__(id="help-text")
        self._sections = sections

    def render(self) -> Group:
        style = self.get_component_rich_style("help-text--name")
        parts: list[Text | Table] = []
        for heading, rows in self._sections:
            table = Table.grid(padding=(0, 2, 0, 0))
            table.add_column(style=style, min_width=_NAME_WIDTH, no_wrap=True)
            for row in rows:
                table.add_row(*map(Text, row))
            parts += [Text(), Text(heading, "bold underline"), table]
        return Group(*parts[1:])


class HelpScreen(ModalInTurn[None]):
    """Sections of help above another screen. Any key that opens it also closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,enter,space", "dismiss", "Close"),
        Binding("q", "app.quit", "Quit", show=False),
    ]

    def __init__(self, sections: Sections) -> None:
        super().__init__()
        self._sections = sections

    @classmethod
    def for_screen(
        cls, screen: Screen[Any], meanings: Rows, topics: Mapping[str, tuple[str, Rows]] | None = None
    ) -> HelpScreen:
        """Help for a screen: the focused panel, the keys of the screen and the app, and `meanings`.

        `topics` gives panels, by their id, a heading and rows that follow their keys; a panel without one is
        explained under the title of its frame, if it has keys.
        """
        sections: list[tuple[str, Rows]] = []
        panel = screen.focused
        if panel is not None:
            heading, more = (topics or {}).get(panel.id or "", (str(panel.border_title or ""), ()))
            rows = (*key_rows(panel), *more)
            sections += [(heading, rows)] if heading and rows else []
        return cls([*sections, ("keys", key_rows(screen, screen.app)), ("what you see", meanings)])

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = "help"
            box.border_subtitle = "escape closes"
            yield HelpText(self._sections)
