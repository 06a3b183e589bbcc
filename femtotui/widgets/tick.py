"""The tick of an app: when waiting messages are read and the visible screens brought up to date.

Trainer messages are never dropped: they wait in their queues until a tick reads them. What travels through
Textual's own queue is only `MessagesWaiting`, and a newer one replaces an older one.
"""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

from textual.app import App
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.timer import Timer

from .dialogs import HEIGHTS, WIDTHS, TooSmallScreen, fits

TICK_SECONDS = 0.3
"""Numbers move three times a second at most, whatever comes: once more takes half a percent of a core."""

SLOW_TICKS = 3
"""Every so many ticks, about once a second: what takes longer to draw, such as the chart, the verdict and
the figures in the corners."""

LOOK_TICKS = 7
"""Every so many ticks, about every two seconds: what is read from the disk."""


@runtime_checkable
class Ticking(Protocol):
    """A screen that the app calls at every tick while it can be seen."""

    def tick(self) -> None: ...


class MessagesWaiting(Message):
    """Trainer messages are waiting; posted from reader threads."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, MessagesWaiting)


class TickingApp(App[None]):
    """An app that ticks: every `TICK_SECONDS`, and at once when a message comes after a quiet while.

    It asks for a larger terminal where it cannot be used.
    """

    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    _tick_timer: Timer | None = None
    _ticked_at = _collected_at = 0.0

    def on_mount(self) -> None:
        self.set_interval(TICK_SECONDS, self._beat)
        self._make_room(self.size)

    def on_resize(self, event: Resize) -> None:
        self._make_room(event.size)

    def _make_room(self, size: Size) -> None:
        if not fits(size) and not isinstance(self.screen, TooSmallScreen):
            self.push_screen(TooSmallScreen())

    def collect(self) -> bool:
        """Read the messages that wait; whether there were any."""
        return False

    def tick(self) -> None:
        """Read the messages and bring the visible screens up to date."""
        if self._tick_timer is not None:
            self._tick_timer.stop()
            self._tick_timer = None
        if self.collect():
            self._collected_at = time.monotonic()
        if self.is_running:
            self.tick_screens()
        self._ticked_at = time.monotonic()

    def tick_screens(self) -> None:
        """Call `tick` of the screen in front, and of those that can be seen behind a dialog."""
        for screen in reversed(self.screen_stack):
            if screen.is_mounted and isinstance(screen, Ticking):
                screen.tick()
            if not screen.is_modal:
                return

    def _beat(self) -> None:
        if time.monotonic() - self._ticked_at >= 0.9 * TICK_SECONDS:
            self.tick()

    def on_messages_waiting(self) -> None:
        """Tick now, or as soon as the last messages lie far enough back."""
        if self._tick_timer is None:
            wait = self._collected_at + TICK_SECONDS - time.monotonic()
            if wait <= 0:
                self.tick()
            else:
                self._tick_timer = self.set_timer(wait, self.tick)
