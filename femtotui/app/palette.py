"""The command palette: the actions of all keys, and all presets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain

from textual.binding import Binding, BindingType
from textual.command import Command, CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode

from ..text.safe import unwrapped
from ..train.choosing import ChoosingScreen
from ..widgets.dialogs import InTurn


@dataclass(frozen=True)
class KeyAction:
    """An action of a screen or a widget: its name in the settings file, and its description."""

    id: str
    action: str
    words: str
    key: str


def key_actions(bindings: Iterable[BindingType]) -> Iterator[KeyAction]:
    """The actions of the bindings that have an id and a description."""
    for binding in bindings:
        words = (binding.tooltip or binding.description) if isinstance(binding, Binding) else ""
        if isinstance(binding, Binding) and binding.id and words:
            yield KeyAction(binding.id, binding.action, words, binding.key_display or binding.key)


class FemtoCommands(Provider):
    """The actions of the current screen, of its chart and of the app, and its presets."""

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        """Name, help and callable of each command."""
        screen = self.screen
        owners: list[DOMNode] = [*screen.query("LossChart"), screen, self.app]
        seen: set[str] = set()
        for owner in owners:
            bindings = chain.from_iterable(owner._bindings.key_to_bindings.values())  # there is no public way
            for found in key_actions(bindings):
                if found.id + found.action not in seen:
                    seen.add(found.id + found.action)
                    name = found.words[0].lower() + found.words[1:]
                    yield name, f"key {found.key}", partial(self._run, found.action, owner)
        if isinstance(screen, ChoosingScreen):
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
