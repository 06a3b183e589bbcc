"""Help: the keys of a screen, read from its bindings, and the meaning of what it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.geometry import Size
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
    """Sections of two columns. The text is wrapped during layout, so that the first frame has its height."""

    DEFAULT_CSS = "HelpText { height: auto; }"

    def __init__(self, sections: Sections) -> None:
        super().__init__(id="help-text")
        self._sections = sections
        self._wrapped: tuple[int, list[Content]] = (0, [])

    def _lines(self, width: int) -> list[Content]:
        if self._wrapped[0] != width:
            lines: list[Content] = []
            for heading, rows in self._sections:
                lines += [Content("")] if lines else []
                lines += [Content.styled(heading, "bold underline"), *self._columns(rows, width)]
            self._wrapped = (width, lines)
        return self._wrapped[1]

    @staticmethod
    def _columns(rows: Rows, width: int) -> Iterator[Content]:
        """Names on the left, meanings on the right, wrapped in their column."""
        left = max(_NAME_WIDTH, *(cell_len(name) + 2 for name, _ in rows))
        for name, meaning in rows:
            for number, line in enumerate(Content(meaning).wrap(max(16, width - left))):
                shown = "" if number else name
                yield Content.assemble((shown + " " * (left - cell_len(shown)), "bold $text-accent"), line)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The number of lines at this width."""
        del container, viewport
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))


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
