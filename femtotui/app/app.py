"""The Textual app: one Train screen, the messages of the trainers, and a way out that loses nothing."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.geometry import Size
from textual.message import Message
from textual.timer import Timer

from femtotui.core.files import os_error_words
from femtotui.presets.toml_file import did_you_mean

from ..chart.glyphs import ASCII, choose_glyphs
from ..chart.loss_chart import LossChart
from ..experiments.experiment_screen import ExperimentScreen
from ..runs.actions import RunActions
from ..runs.compare_screen import CompareScreen
from ..runs.runs_screen import RunsScreen
from ..text.formats import local_now
from ..text.safe import unwrapped
from ..train.arranging import ArrangingScreen
from ..train.contesting import ContestingScreen
from ..train.train_screen import TrainScreen
from ..widgets.dialogs import HEIGHTS, WIDTHS, TooSmallScreen, fits
from .palette import FemtoCommands, Palette, key_actions
from .settings import Settings, known_keys

REFRESH_SECONDS = 0.3
"""Numbers move three times a second at most, whatever comes: once more takes half a percent of a core."""


class TrainerSpoke(Message):
    """Messages from a trainer wait to be folded; posted from reader threads.

    The messages themselves are never dropped: they wait in the run's queue. Of this notice, a newer one
    replaces an older one.
    """

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, TrainerSpoke)


class FemtoApp(App[None]):
    """Passes what the trainers say on to the Train screen, and saves before it leaves."""

    TITLE = "femtotui"
    CSS_PATH = "femtotui.tcss"
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    COMMANDS = App.COMMANDS | {FemtoCommands}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit", show=False),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
        Binding("S", "picture", "picture", show=False, id="picture", tooltip="Save a picture of the screen"),
    ]

    def __init__(self, actions: RunActions, settings: Settings | None = None) -> None:
        super().__init__()
        self._helm = actions
        self._settings = settings if settings is not None else Settings()
        self._clashes: set[str] = set()
        self.train = TrainScreen(actions)
        self.train.glyphs = choose_glyphs(self._settings.chart)
        self._taken_at = 0.0
        self._take_timer: Timer | None = None
        self._leaving = False

    def get_default_screen(self) -> TrainScreen:
        return self.train

    def on_mount(self) -> None:
        self._helm.manager.listen(lambda: self.post_message(TrainerSpoke()))
        self._make_room(self.size)
        self._apply_settings()

    # -- settings --------------------------------------------------------------------------------------

    def _apply_settings(self) -> None:
        """What can be used of the settings; the rest is named, line by line."""
        problems = list(self._settings.problems)
        if self._settings.theme:
            if self._settings.theme in self.available_themes:
                self.theme = self._settings.theme
            else:
                near = did_you_mean(self._settings.theme, self.available_themes)
                problems.append(f"theme: there is no theme `{unwrapped(self._settings.theme)}`{near}")
        keys, trouble = known_keys(self._settings, KNOWN_ACTIONS)
        self.set_keymap(keys)
        self.set_class(self.train.glyphs is ASCII, "-ascii")
        self.set_class(self.console.color_system == "standard" and not self.is_headless, "-few-colours")
        if problems + trouble:
            words = "\n".join(problems + trouble)
            self.notify(words, title="settings", severity="warning", timeout=12, markup=False)

    def handle_bindings_clash(self, clashed_bindings: set[Binding], node: DOMNode) -> None:
        """A key of one's own took the place of another: say so once."""
        del node
        for binding in clashed_bindings:
            words = binding.tooltip or binding.description
            if words and words not in self._clashes:
                self._clashes.add(words)
                self.notify(
                    f"key {binding.key} no longer does: {words}",
                    title="settings",
                    severity="warning",
                    markup=False,
                )

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def action_picture(self) -> None:
        """Save what is on the screen as an SVG; in a browser, it is downloaded."""
        name = f"femtotui-{local_now():%Y%m%d-%H%M%S}.svg"
        try:
            self.deliver_screenshot(name)
        except OSError as error:
            self.notify(f"no picture: {os_error_words(error)}", severity="error", markup=False)

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
        taken = self._helm.manager.take()
        if self.is_running and self.train.is_mounted:  # a closing app takes its widgets away one by one
            self.train.show_news(taken)
        self._taken_at = time.monotonic()
        if self._helm.manager.is_detached and not self._leaving:
            self._leaving = True
            self.run_worker(self._save_and_leave(), exclusive=False, group="leaving")

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
        await asyncio.to_thread(self._helm.close)
        self.exit()


KNOWN_ACTIONS = frozenset(
    deed.id
    for owner in (
        FemtoApp,
        TrainScreen,
        ContestingScreen,
        ArrangingScreen,
        RunsScreen,
        CompareScreen,
        ExperimentScreen,
        LossChart,
    )
    for deed in key_actions(owner.BINDINGS)
)
"""What the settings file can give keys to."""
