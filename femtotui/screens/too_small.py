"""What is shown instead of everything else while the terminal is too small for it."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Static

from .in_turn import InTurn

LEAST_WIDTH = 40
LEAST_HEIGHT = 12


def fits(size: Size) -> bool:
    """Whether there is room for the app."""
    return size.width >= LEAST_WIDTH and size.height >= LEAST_HEIGHT


class TooSmallScreen(InTurn[None]):
    """Asks for more room, and leaves by itself when there is."""

    def compose(self) -> ComposeResult:
        yield Static(id="too-small")

    def on_mount(self) -> None:
        self._tell(self.app.size)

    def on_resize(self, event: events.Resize) -> None:
        self._tell(event.size)
        self._leave_if_there_is_room()

    def on_screen_resume(self) -> None:
        self._leave_if_there_is_room()

    def _leave_if_there_is_room(self) -> None:
        """The size of now counts: an event may tell of one that has passed."""
        if fits(self.app.size):
            self.dismiss()

    def _tell(self, size: Size) -> None:
        self.query_one("#too-small", Static).update(
            Content.assemble(
                ("Please make the terminal larger\n", "bold"),
                (
                    f"now {size.width}×{size.height}, needs {LEAST_WIDTH}×{LEAST_HEIGHT}\n",
                    "$foreground-muted",
                ),
                ("the run is not disturbed", "$text-success"),
            )
        )
