"""The likeliest next tokens to choose from: another way for the text to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Blur, Click, Focus
from textual.message import Message

from ..token_protocol import AlternativeLike, ScoredTokenLike
from .next_token import NextToken


class Alternatives(NextToken, can_focus=True):
    """NextToken with a cursor. Enter on one says so."""

    DEFAULT_CSS = """
    Alternatives:focus { border: round $border; border-title-color: $text; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "mark(-1)", "Up", show=False),
        Binding("down", "mark(1)", "Down", show=False),
        Binding("enter", "pick", "branch"),
    ]

    @dataclass
    class Picked(Message):
        """A person wants the text to go on with this one."""

        alternative: AlternativeLike

    def action_mark(self, step: int) -> None:
        """Move the cursor."""
        if self._top:
            self._marked = min(max((self._marked or 0) + step, 0), len(self._top) - 1)
            self.refresh()

    def action_pick(self) -> None:
        """Say which one the cursor is on."""
        if self._top and self._marked is not None:
            self.post_message(self.Picked(self._top[self._marked]))

    def on_focus(self, event: Focus) -> None:
        """Show the cursor: on the first that was not chosen, for that is what one comes for."""
        del event
        chosen = None if self._chosen is None else self._chosen.bytes
        others = (index for index, entry in enumerate(self._top) if entry.bytes != chosen)
        self._marked = next(others, 0)
        self.refresh()

    def on_blur(self, event: Blur) -> None:
        """Hide the cursor."""
        del event
        self._marked = None
        self.refresh()

    def on_click(self, event: Click) -> None:
        """A click marks, a second one picks."""
        offset = event.get_content_offset(self)
        width, height = self.content_size
        if offset is None or not self._top:
            return
        n_heads = int(self._is_wide(width) and height > 4)
        index = offset.y - n_heads + self._first_row(height - n_heads)
        if 0 <= index < len(self._top):
            self._marked = index
            self.refresh()
            if event.chain > 1:
                self.action_pick()

    def _set(self, top: tuple[AlternativeLike, ...], chosen: ScoredTokenLike | None) -> None:
        super()._set(top, chosen)
        if self._marked is not None:
            self._marked = min(self._marked, max(len(self._top) - 1, 0))
