"""The Textual app: the trainers' messages, the settings, the command palette, and quitting without loss."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import ClassVar

from platformdirs import user_downloads_path
from textual.app import App
from textual.binding import Binding, BindingType
from textual.command import Command, CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode
from textual.theme import Theme

from femtotui.core.files import os_error_words
from femtotui.presets.toml_file import did_you_mean

from ..chart.glyphs import ASCII, choose_glyphs
from ..chart.loss_chart import LossChart
from ..experiments.experiment_screen import ExperimentScreen
from ..inspection.layers_panel import LayersPanel
from ..runs.actions import RunActions
from ..runs.compare_screen import CompareScreen
from ..runs.runs_screen import RunsScreen
from ..text.formats import local_now
from ..text.safe import one_line, unwrapped
from ..train.chart_tabs import TABS
from ..train.train_screen import TrainScreen
from ..widgets.dialogs import InTurn
from ..widgets.tick import MessagesWaiting, TickingApp
from .settings import Settings, known_keys, save_theme


def key_actions(bindings: Iterable[BindingType]) -> Iterator[tuple[str, Binding, str]]:
    """The bindings with an id, which is their name in the settings file, and a description."""
    for binding in bindings:
        words = (binding.tooltip or binding.description) if isinstance(binding, Binding) else ""
        if isinstance(binding, Binding) and binding.id and words:
            yield binding.id, binding, words


class FemtoCommands(Provider):
    """The actions of the current screen, of its chart and of the app, and its presets."""

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        """Name, help and callable of each command."""
        screen = self.screen
        panels = (panel for panel in screen.query("LossChart, LayersPanel") if panel.display)
        owners: list[DOMNode] = [*panels, screen, self.app]
        seen: set[str] = set()
        for owner in owners:
            bindings = chain.from_iterable(owner._bindings.key_to_bindings.values())  # there is no public way
            for known_as, binding, words in key_actions(bindings):
                if known_as + binding.action not in seen:
                    seen.add(known_as + binding.action)
                    name, key = words[0].lower() + words[1:], binding.key_display or binding.key
                    yield name, f"key {key}", partial(self._run, binding.action, owner)
        if isinstance(screen, TrainScreen):
            for number, tab in enumerate(TABS):
                yield f"show {tab.name}", "in the chart's place", partial(screen.action_panel, number)
            for key, preset in screen.presets.items():
                name = f"train #{key} {unwrapped(preset.title)}"
                help_text = f"{preset.tokenizer.kind} · {preset.data.source}"
                yield name, help_text, partial(screen.open_preset, key)

    async def _run(self, action: str, owner: DOMNode) -> None:
        await self.app.run_action(action, default_namespace=owner)

    async def discover(self) -> Hits:
        for name, help_text, run in self._commands():
            yield DiscoveryHit(name, run, text=name, help=help_text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, help_text, run in self._commands():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, Content(name), run, text=name, help=help_text)


class Palette(CommandPalette, InTurn[None]):
    """A palette that can be closed while it searches, and paged before its list is laid out."""

    def _refresh_command_list(
        self, command_list: CommandList, commands: list[Command], clear_current: bool
    ) -> None:
        if self.query(CommandList):
            super()._refresh_command_list(command_list, commands, clear_current)

    def _action_command_list(self, action: str) -> None:
        if any(command_list.size for command_list in self.query(CommandList)):
            super()._action_command_list(action)


class FemtoApp(TickingApp):
    """Reads the trainers' messages at every tick, and saves all runs before it exits."""

    TITLE = "femtotui"
    CSS_PATH = "femtotui.tcss"
    COMMANDS = App.COMMANDS | {FemtoCommands}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+s",
            "picture",
            "screenshot",
            show=False,
            priority=True,
            id="picture",
            tooltip="Save a screenshot",
        ),
        Binding(
            "ctrl+p",
            "command_palette",
            "palette",
            show=False,
            priority=True,
            tooltip="All commands, themes among them",
        ),
        Binding("q", "quit", "quit", show=False),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True, tooltip="Save and leave"),
    ]

    def __init__(
        self, actions: RunActions, settings: Settings | None = None, settings_file: Path | None = None
    ) -> None:
        super().__init__()
        self._settings_file = settings_file
        self._actions = actions
        self._settings = settings if settings is not None else Settings()
        self._clashes: set[str] = set()
        self.train = TrainScreen(actions, choose_glyphs(self._settings.chart))
        self._leaving = False

    def get_default_screen(self) -> TrainScreen:
        return self.train

    def on_mount(self) -> None:
        self._actions.manager.listen(lambda: self.post_message(MessagesWaiting()))
        self._apply_settings()
        self.theme_changed_signal.subscribe(self, self._keep_theme)

    def _keep_theme(self, theme: Theme) -> None:
        """Write a theme that was chosen to the settings file."""
        if self._settings_file is None or theme.name == self._settings.theme:
            return
        try:
            save_theme(self._settings_file, theme.name)
        except OSError as error:
            self.notify(f"the theme is not saved: {os_error_words(error)}", severity="warning", markup=False)

    # -- settings --------------------------------------------------------------------------------------

    def _apply_settings(self) -> None:
        """Apply the settings that can be used, and show the problems of the others."""
        problems = list(self._settings.problems)
        if self._settings.theme:
            if self._settings.theme in self.available_themes:
                self.theme = self._settings.theme
            else:
                near = did_you_mean(self._settings.theme, self.available_themes)
                problems.append(f"theme: there is no theme `{unwrapped(self._settings.theme)}`{near}")
        keys, key_problems = known_keys(self._settings, KNOWN_ACTIONS)
        self.set_keymap(keys)
        self.set_class(self.train.glyphs is ASCII, "-ascii")
        self.set_class(self.console.color_system == "standard" and not self.is_headless, "-few-colours")
        if problems + key_problems:
            words = "\n".join(problems + key_problems)
            self.notify(words, title="settings", severity="warning", timeout=12, markup=False)

    def handle_bindings_clash(self, clashed_bindings: set[Binding], node: DOMNode) -> None:
        """Say once that a key from the settings replaces another."""
        del node
        for binding in clashed_bindings:
            if binding.id in self._settings.keys:
                continue  # two actions of one name, such as pause and resume, share the new key
            words = binding.tooltip or binding.description
            if words and words not in self._clashes:
                self._clashes.add(words)
                news = f"key {binding.key} no longer does: {words}"
                self.notify(news, title="settings", severity="warning", markup=False)

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def action_picture(self) -> None:
        """Save a screenshot as SVG with the downloads, or else here; in a browser, download it."""
        name = f"femtotui-{local_now():%Y%m%d-%H%M%S}.svg"
        if self.is_web:
            self.deliver_screenshot(name)
            return
        downloads = user_downloads_path()
        folder = downloads if downloads.is_dir() else Path.cwd()
        try:
            saved = self.save_screenshot(name, str(folder))
        except OSError as error:
            reason = os_error_words(error)
            self.notify(f"no screenshot in {folder}: {reason}", severity="error", markup=False)
        else:
            self.notify(f"saved as {one_line(saved)}", markup=False)

    # -- trainers --------------------------------------------------------------------------------------

    def collect(self) -> bool:
        """Read the trainers' messages; exit once the current run is detached."""
        changed = self._actions.manager.collect()
        if self._actions.manager.is_detached:
            self._leave()
        if self.is_running and self.train.is_mounted:  # a closing app removes its widgets one by one
            self.train.background_tick()
        return changed

    # -- leaving ---------------------------------------------------------------------------------------

    async def action_quit(self) -> None:
        """Save every run, then exit; calling it again changes nothing."""
        self._leave()

    def _leave(self) -> None:
        if not self._leaving:
            self._leaving = True
            self.run_worker(self._save_and_leave(), exclusive=False, group="leaving")

    async def _save_and_leave(self) -> None:
        if self.train.is_mounted:
            self.train.show_saving()
        await asyncio.to_thread(self._close_trainers)
        self.exit()

    def _close_trainers(self) -> None:
        self.train.experiments.close()
        self._actions.manager.close()


_OWNERS = (FemtoApp, TrainScreen, RunsScreen, CompareScreen, ExperimentScreen, LossChart, LayersPanel)
KNOWN_ACTIONS = frozenset(name for owner in _OWNERS for name, _, _ in key_actions(owner.BINDINGS))
"""The actions that the settings file can assign keys to."""
