"""Screens that take nobody else with them when they leave.

Textual's `dismiss` takes the topmost screen away, whichever screen asked. A button's message may be handled
after an Escape has closed its screen, or after a terminal that shrank has laid another one over it. A screen
that has gone has nothing left to leave; one that is covered leaves when it is the topmost again, and one that
is still being mounted, when its widgets are there: its own messages look for them.
"""

from __future__ import annotations

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, Screen, ScreenResultType


class InTurn(Screen[ScreenResultType]):
    """A screen whose `dismiss` takes away this screen and no other."""

    _held: tuple[ScreenResultType | None] | None = None

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Leave with `result`: at once, or when this screen is mounted and the topmost."""
        if self.is_mounted and self.app.screen is self:
            return super().dismiss(result)
        self._held = (result,)
        return AwaitComplete()

    def on_screen_resume(self) -> None:
        if self._held is not None:
            (result,), self._held = self._held, None
            self.dismiss(result)


class ModalInTurn(ModalScreen[ScreenResultType], InTurn[ScreenResultType]):
    """The same for a question asked above another screen."""
