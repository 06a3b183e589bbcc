"""Everything that a key does, for the command palette and the settings file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True)
class Deed:
    """An action of a screen or a widget: its name in the settings file, and words for people."""

    id: str
    action: str
    words: str
    key: str


def deeds(bindings: Iterable[BindingType]) -> Iterator[Deed]:
    """The actions among bindings that have a name and words."""
    for binding in bindings:
        if isinstance(binding, Binding) and binding.id and binding.description:
            words = binding.tooltip or binding.description
            yield Deed(binding.id, binding.action, words, binding.key_display or binding.key)
