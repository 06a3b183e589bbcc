"""The command palette's own: every key's action, and every preset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from textual.binding import Binding, BindingType
from textual.command import Command, CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode

from ..text.safe import unwrapped
from ..train.choosing import ChoosingScreen
from ..widgets.dialogs import InTurn


class FemtoCommands(Provider):
    """What can be done on the screen that is shown, and on what has the focus there."""

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        """Name, help, and what to run."""
        screen = self.screen
        owners: list[DOMNode] = [*screen.query("LossChart"), screen, self.app]
        seen: set[str] = set()
        for owner in owners:
            several = owner._bindings.key_to_bindings.values()  # there is no public way to them
            for deed in key_actions(binding for bindings in several for binding in bindings):
                if deed.id + deed.action not in seen:
                    seen.add(deed.id + deed.action)
                    yield self._named(deed), f"key {deed.key}", partial(self._run, deed, owner)
        if isinstance(screen, ChoosingScreen):
            for key, preset in screen.presets.items():
                words = f"train #{key} {unwrapped(preset.title)}"
                yield (
                    words,
                    f"{preset.tokenizer.kind} · {preset.data.source}",
                    partial(screen.open_preset, key),
                )

    @staticmethod
    def _named(deed: KeyAction) -> str:
        return deed.words[0].lower() + deed.words[1:]

    async def _run(self, deed: KeyAction, owner: DOMNode) -> None:
        await self.app.run_action(deed.action, default_namespace=owner)

    async def discover(self) -> Hits:
        for name, help_text, deed in self._commands():
            yield DiscoveryHit(name, deed, text=name, help=help_text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, help_text, deed in self._commands():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, Content(name), deed, text=name, help=help_text)


class Palette(CommandPalette, InTurn[None]):
    """One that can be closed while it searches, and paged through before its list is laid out."""

    def _refresh_command_list(
        self, command_list: CommandList, commands: list[Command], clear_current: bool
    ) -> None:
        if self.query(CommandList):
            super()._refresh_command_list(command_list, commands, clear_current)

    def _action_command_list(self, action: str) -> None:
        if any(command_list.size for command_list in self.query(CommandList)):
            super()._action_command_list(action)


@dataclass(frozen=True)
class KeyAction:
    """An action of a screen or a widget: its name in the settings file, and words for people."""

    id: str
    action: str
    words: str
    key: str


def key_actions(bindings: Iterable[BindingType]) -> Iterator[KeyAction]:
    """The actions among bindings that have a name and words."""
    for binding in bindings:
        if isinstance(binding, Binding) and binding.id and binding.description:
            words = binding.tooltip or binding.description
            yield KeyAction(binding.id, binding.action, words, binding.key_display or binding.key)
