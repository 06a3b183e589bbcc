"""The prompt: one line to type, with its own keys in the footer."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input


class Prompt(Input):
    """An Input that says what Enter and Escape do. Empty, it stands for the journal's own prompt."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "sample"),
        Binding("escape", "screen.leave", "back to the keys"),
    ]

    def __init__(self) -> None:
        super().__init__(placeholder="a newline, as in the journal", compact=True, id="prompt")
