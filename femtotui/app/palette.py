"""The command palette's own: every key's action, and every preset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode

from .actions import Deed, deeds
from .screens.choosing import ChoosingScreen
from .wording import printable


class FemtoCommands(Provider):
    """What can be done on the screen that is shown, and on what has the focus there."""

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        """Name, help, and what to run."""
        screen = self.screen
        owners: list[DOMNode] = [*screen.query("LossChart"), screen, self.app]
        seen: set[str] = set()
        for owner in owners:
            several = owner._bindings.key_to_bindings.values()  # there is no public way to them
            for deed in deeds(binding for bindings in several for binding in bindings):
                if deed.id + deed.action not in seen:
                    seen.add(deed.id + deed.action)
                    yield self._named(deed), f"key {deed.key}", partial(self._run, deed, owner)
        if isinstance(screen, ChoosingScreen):
            for key, preset in screen.presets.items():
                words = f"train #{key} {printable(preset.title)}"
                yield (
                    words,
                    f"{preset.tokenizer.kind} · {preset.data.source}",
                    partial(screen.open_preset, key),
                )

    @staticmethod
    def _named(deed: Deed) -> str:
        return deed.words[0].lower() + deed.words[1:]

    async def _run(self, deed: Deed, owner: DOMNode) -> None:
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
