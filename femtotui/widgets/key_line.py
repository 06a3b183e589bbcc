"""The line of keys at the bottom: one widget that draws a line, where Textual's Footer mounts one per key.

Every move of the focus changes the keys. Footer then replaces its widgets, which costs as much as half a
second of the app's drawing, and stays empty while the app's window is inactive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import ActiveBinding
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from ..text.safe import one_line

MORE = "…"
_GAP = 2


@dataclass(frozen=True)
class KeyHint:
    """A key as displayed, and its action in a word and in a sentence; `press` is its name in Textual."""

    display: str
    words: str
    press: str
    tooltip: str = ""
    enabled: bool = True

    @property
    def width(self) -> int:
        return cell_len(self.display) + 1 + cell_len(self.words)


def as_hints(bindings: Iterable[ActiveBinding], display: dict[str, str]) -> tuple[KeyHint, ...]:
    """The bindings to show: one per action, however many keys it has."""
    hints: dict[str, KeyHint] = {}
    for _node, binding, enabled, tooltip in bindings:
        if binding.show and binding.action not in hints:
            shown, words = one_line(display[binding.key]), one_line(binding.description)
            hints[binding.action] = KeyHint(shown, words, binding.key, tooltip, enabled)
    return tuple(hints.values())


def in_width(hints: Sequence[KeyHint], width: int) -> tuple[KeyHint, ...]:
    """As many whole hints as fit, with room for an ellipsis if some are left out."""
    used, shown = 0, 0
    for number, hint in enumerate(hints):
        used += hint.width + (_GAP if number else 0)
        is_last = number == len(hints) - 1
        if used + (0 if is_last else _GAP + len(MORE)) <= width:
            shown = number + 1
    return tuple(hints[:shown])


class KeyLine(Widget):
    """The current keys on one line. A click on a key presses it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "key-line--key",
        "key-line--words",
        "key-line--off",
        "key-line--pointed",
    }
    DEFAULT_CSS = """
    KeyLine {
        height: 1;
        width: 1fr;
        padding: 0 1;
        color: $footer-foreground;
        background: $footer-background;
        & > .key-line--key { color: $footer-key-foreground; text-style: bold; }
        & > .key-line--words { color: $footer-description-foreground; }
        & > .key-line--off { color: $footer-description-foreground; text-style: dim; }
        & > .key-line--pointed { text-style: reverse; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="keys")
        self._hints: tuple[KeyHint, ...] = ()
        self._pointed: KeyHint | None = None

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)
        self._changed(self.screen)

    def _changed(self, screen: Screen[object]) -> None:
        if not self.is_attached or screen is not self.screen:
            return
        active = list(screen.active_bindings.values())
        display = {binding.key: self.app.get_key_display(binding) for _, binding, _, _ in active}
        hints = as_hints(active, display)
        if hints != self._hints:
            self._hints, self._pointed, self.tooltip = hints, None, None
            self.refresh()

    @property
    def shown(self) -> tuple[KeyHint, ...]:
        return in_width(self._hints, self.content_size.width)

    def render_line(self, y: int) -> Strip:
        """Each key and its word; an ellipsis at the end if there are more."""
        width, base = self.content_size.width, self.rich_style
        if y or not width:
            return Strip.blank(width, base)
        key, words, off = (
            self.get_component_rich_style(f"key-line--{part}") for part in ("key", "words", "off")
        )
        pointed = self.get_component_rich_style("key-line--pointed", partial=True)
        shown = self.shown
        segments: list[Segment] = []
        for hint in shown:
            mark = pointed if hint is self._pointed else Style.null()
            segments += [
                Segment(hint.display, (key if hint.enabled else off) + mark),
                Segment(f" {hint.words}", (words if hint.enabled else off) + mark),
                Segment(" " * _GAP, base),
            ]
        if len(shown) < len(self._hints):
            segments.append(Segment(MORE, key))
        return Strip(segments).adjust_cell_length(width, base)

    # -- mouse -----------------------------------------------------------------------------------------

    def _hint_at(self, column: int) -> KeyHint | None:
        start = 0
        for hint in self.shown:
            if start <= column < start + hint.width:
                return hint
            start += hint.width + _GAP
        return None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        hint = self._hint_at(event.get_content_offset_capture(self).x)
        if hint is None:
            return
        if hint.enabled:
            self.app.simulate_key(hint.press)
        else:
            self.app.bell()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._point_at(self._hint_at(event.get_content_offset_capture(self).x))

    def on_leave(self) -> None:
        self._point_at(None)

    def _point_at(self, hint: KeyHint | None) -> None:
        if hint is not self._pointed:
            self._pointed = hint
            self.tooltip = (hint.tooltip or None) if hint is not None else None
            self.refresh()
