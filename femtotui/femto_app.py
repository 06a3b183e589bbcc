"""The Textual app: one Train screen, the messages of the trainers, and a way out that loses nothing."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.timer import Timer

from .helm import Helm
from .messages import TrainerSpoke
from .screens.too_small import TooSmallScreen, fits
from .screens.train import TrainScreen

REFRESH_SECONDS = 0.22
"""Numbers and curves move four to five times a second at most, whatever the trainers send."""


class FemtoApp(App[None]):
    """Passes what the trainers say on to the Train screen, and saves before it leaves."""

    TITLE = "femtotui"
    CSS_PATH = "femtotui.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit", show=False),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
    ]

    def __init__(self, helm: Helm) -> None:
        super().__init__()
        self._helm = helm
        self.train = TrainScreen(helm)
        self._taken_at = 0.0
        self._take_timer: Timer | None = None
        self._leaving = False

    def get_default_screen(self) -> TrainScreen:
        return self.train

    def on_mount(self) -> None:
        self._helm.desk.listen(lambda: self.post_message(TrainerSpoke()))
        self._make_room(self.size)

    # -- trainers --------------------------------------------------------------------------------------

    def on_trainer_spoke(self) -> None:
        """Take the messages now, or as soon as the last time lies far enough back."""
        if self._take_timer is not None or self._leaving:
            return
        wait = self._taken_at + REFRESH_SECONDS - time.monotonic()
        if wait <= 0:
            self._take()
        else:
            self._take_timer = self.set_timer(wait, self._take)

    def _take(self) -> None:
        self._take_timer = None
        taken = self._helm.desk.take()
        if self.is_running and self.train.is_mounted:  # a closing app takes its widgets away one by one
            self.train.show_news(taken)
        self._taken_at = time.monotonic()

    # -- room ------------------------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        self._make_room(event.size)

    def _make_room(self, size: Size) -> None:
        if not fits(size) and not isinstance(self.screen, TooSmallScreen):
            self.push_screen(TooSmallScreen())

    # -- leaving ---------------------------------------------------------------------------------------

    async def action_quit(self) -> None:
        """Save every run, then leave. Asked again while it saves, it goes on saving."""
        if self._leaving:
            return
        self._leaving = True
        self.run_worker(self._save_and_leave(), exclusive=False, group="leaving")

    async def _save_and_leave(self) -> None:
        if self.train.is_mounted:
            self.train.show_saving()
        await asyncio.to_thread(self._helm.desk.close)
        self.exit()
