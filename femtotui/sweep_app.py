"""Watching a sweep in an app of its own, led by a process that does not need the app."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from femtotui.core.files import open_own

from .cluster.live import LOG_NAME, Watch
from .cluster.sweep_folder import SweepFolder
from .glyphs import ASCII, choose_glyphs
from .layouts import HEIGHTS, WIDTHS
from .screens.sweep import SweepScreen
from .screens.too_small import TooSmallScreen, fits
from .settings import Settings


class SweepApp(App[None]):
    """One screen; leaving it ends the app and nothing else."""

    TITLE = "femtotui sweep"
    CSS_PATH = "femtotui.tcss"
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", "quit", show=False, priority=True)]

    def __init__(self, watch: Watch, settings: Settings | None = None) -> None:
        super().__init__()
        self._watch = watch
        self._settings = settings if settings is not None else Settings()

    def on_mount(self) -> None:
        glyphs = choose_glyphs(self._settings.chart)
        self.set_class(glyphs is ASCII, "-ascii")
        if self._settings.theme in self.available_themes:
            self.theme = self._settings.theme
        self.push_screen(SweepScreen(self._watch, glyphs), lambda _: self.exit())
        if not fits(self.size):
            self.push_screen(TooSmallScreen())

    def on_resize(self) -> None:
        if not fits(self.size) and not isinstance(self.screen, TooSmallScreen):
            self.push_screen(TooSmallScreen())


def start_leader(folder: SweepFolder, *options: str) -> subprocess.Popen[bytes]:
    """A process that goes on with the sweep, whatever becomes of this one; what it says goes to a log."""
    command = [sys.executable, "-P", "-m", "femtotui", "sweep", "--resume", folder.name]
    with open(folder.path / LOG_NAME, "ab", opener=open_own) as log:
        return subprocess.Popen(
            [*command, "--runs", str(folder.runs), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(os.environ),
            start_new_session=True,
            creationflags=_windows_flags(),
        )


def _windows_flags() -> int:
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    return 0
