"""A text of one's own, typed or pasted, for the model to read."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from ..safe_text import harmless

MOST_BYTES = 20_000
"""More than anybody reads in a terminal; files of any size are for `femtotui sample --score`."""


class OwnText(TextArea):
    """A few lines of editor. What could hide, or move a terminal's cursor, is left out of it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "screen.leave", "to the tokens")]

    def __init__(self) -> None:
        super().__init__(
            id="own-text",
            compact=True,
            placeholder="type or paste a text: how surprised is the model, token by token?",
        )

    def edit(self, edit: Edit) -> EditResult:
        """Every change of the text comes through here."""
        edit.text = harmless(edit.text)
        room = MOST_BYTES - len(self.text.encode()) + len(self.get_text_range(edit.top, edit.bottom).encode())
        edit.text = edit.text.encode()[: max(room, 0)].decode(errors="ignore")
        return super().edit(edit)
