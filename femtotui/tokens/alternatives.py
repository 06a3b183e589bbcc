"""The likeliest next tokens, as bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Blur, Click, Focus
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from ..text.safe import glyphs, one_line
from .scoring import AlternativeLike, ScoredTokenLike

_PERCENT_WIDTH = 7
_NAME_WIDTH = 10
_TWO_COLUMNS_WIDTH = 30
_SMALL_NAME_WIDTH = 6
_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"
EMPTY_TEXT = "no token yet"


def bar(share: float, width: int) -> str:
    """A bar of `width` cells, filled to `share` (0 to 1) in steps of an eighth of a cell."""
    share = min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
    eighths = round(share * width * 8)
    if share > 0 and width:
        eighths = max(eighths, 1)
    full, rest = divmod(eighths, 8)
    return (_FULL * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def quoted(token: bytes, width: int) -> str:
    """A token between quotes, inert, in exactly `width` cells unless that is less than three."""
    text = one_line(_visible(token), max(width - 2, 1))
    return f"'{text}'" + " " * (width - 2 - cell_len(text))


def _visible(token: bytes) -> str:
    """A token's bytes, inert; spaces are dots, for a space alone would look like nothing."""
    return "".join(glyph.text for glyph in glyphs(token))


def percent(p: float) -> str:
    """A probability as a percentage, always seven cells wide."""
    return f"{100 * p:6.1f}%" if math.isfinite(p) else f"{'?':>{_PERCENT_WIDTH}}"


def _columns(width: int) -> tuple[int, int]:
    """The cells for a name and for each of two bars."""
    name_width = _NAME_WIDTH if width >= 44 else _SMALL_NAME_WIDTH
    return name_width, max((width - name_width - 2 - 2 * _PERCENT_WIDTH) // 2, 0)


class NextToken(Widget):
    """What the model thought of: the top alternatives at a place, and how the chosen token compares."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "next-token--name",
        "next-token--bar",
        "next-token--percent",
        "next-token--chosen",
        "next-token--summary",
        "next-token--cut",
    }
    DEFAULT_CSS = """
    NextToken {
        height: 1fr;
        min-height: 3;
        border: round $foreground 25%;
        border-title-color: $text-muted;
        padding: 0 1;
        & > .next-token--name { color: $text; }
        & > .next-token--bar { color: $primary; }
        & > .next-token--percent { color: $text-muted; }
        & > .next-token--chosen { color: $text-accent; text-style: bold; }
        & > .next-token--summary { color: $text-muted; }
        & > .next-token--cut { color: $text-muted; text-style: dim; }
    }
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
        disabled: bool = False,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes, disabled=disabled)
        self.border_title = "next token"
        self.columns = ("raw", "after cutting")
        self._top: tuple[AlternativeLike, ...] = ()
        self._chosen: ScoredTokenLike | None = None
        self._marked: int | None = None

    def show(self, token: ScoredTokenLike) -> None:
        """Show the alternatives at a chosen token's place, and its rank, surprise and entropy."""
        self._set(tuple(token.top), token)

    def show_alternatives(
        self, top: Sequence[AlternativeLike], chosen: ScoredTokenLike | None = None
    ) -> None:
        """Show a distribution, best first, and what was chosen from it, if anything was."""
        self._set(tuple(top), chosen)

    def clear(self) -> None:
        """Show nothing."""
        self._set((), None)

    def _set(self, top: tuple[AlternativeLike, ...], chosen: ScoredTokenLike | None) -> None:
        if top != self._top or chosen is not self._chosen:
            self._top, self._chosen = top, chosen
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One alternative a line; the last two lines sum up the chosen token."""
        width, height = self.content_size
        n_heads = int(self._is_wide(width) and height > 4)
        summary = self._summary(width) if height > 3 else ()
        n_rows = height - len(summary)
        segments: list[Segment] = []
        if not self._top:
            segments = [Segment(EMPTY_TEXT, self._style("summary"))] if y == 0 else []
        elif y < n_heads:
            segments = self._heads(width)
        elif y < n_rows:
            index = y - n_heads + self._first_row(n_rows - n_heads)
            segments = self._alternative(index, width) if index < len(self._top) else []
        elif y - n_rows < len(summary):
            segments = [Segment(summary[y - n_rows], self._style("summary"))]
        return Strip(segments).adjust_cell_length(width, self.rich_style).crop(0, width)

    def _first_row(self, n_rows: int) -> int:
        """The alternative in the first row: the marked one must be in sight."""
        return 0 if self._marked is None else max(0, self._marked - n_rows + 1)

    @staticmethod
    def _is_wide(width: int) -> bool:
        """Whether there is room for bars before and after cutting, side by side."""
        return width >= _TWO_COLUMNS_WIDTH

    def _heads(self, width: int) -> list[Segment]:
        name_width, bar_width = _columns(width)
        column_width = bar_width + _PERCENT_WIDTH
        first = one_line(self.columns[0], column_width - 1)
        second = one_line(self.columns[1], column_width)
        gap = " " * (column_width - cell_len(first))
        return [Segment(f"{'':{name_width}} {first}{gap} {second}", self._style("summary"))]

    def _alternative(self, index: int, width: int) -> list[Segment]:
        entry = self._top[index]
        is_chosen = self._chosen is not None and entry.bytes == self._chosen.bytes
        is_cut = entry.p_cut == 0
        name, number = self._style("cut" if is_cut else "name"), self._style("cut" if is_cut else "percent")
        if is_chosen:
            name = number = self._style("chosen")
        if index == self._marked:
            name = name + Style(reverse=True)
        bar_style = self._style("cut" if is_cut else "bar")
        if not self._is_wide(width):
            name_width = max(3, min(_NAME_WIDTH, width - _PERCENT_WIDTH - 3))
            bar_width = max(width - name_width - _PERCENT_WIDTH - 1, 0)
            return [
                Segment(quoted(entry.bytes, name_width) + " ", name),
                Segment(bar(entry.p, bar_width), bar_style),
                Segment(percent(entry.p), number),
            ]
        name_width, bar_width = _columns(width)
        return [
            Segment(quoted(entry.bytes, name_width), name),
            Segment(" " + bar(entry.p, bar_width), bar_style),
            Segment(percent(entry.p) + " ", number),
            Segment(bar(entry.p_cut, bar_width), bar_style),
            Segment(f"{'–':>{_PERCENT_WIDTH}}" if is_cut else percent(entry.p_cut), number),
        ]

    def _summary(self, width: int) -> tuple[str, ...]:
        """Rank, surprise and entropy, on as many lines as they need; without a chosen token, none."""
        token = self._chosen
        if token is None:
            return ()
        rank = f"rank {token.rank}"
        surprise, entropy = f"surprise {token.surprise_bits:.2f}", f"entropy {token.entropy_bits:.2f} bits"
        both = f"'{_visible(token.bytes)}' {rank} · {surprise} · {entropy}"
        if cell_len(both) <= width:
            return (both,)
        first = f"{rank} · {surprise}"
        return one_line(f"{first} bits" if len(first) + 5 <= width else first, width), one_line(
            entropy, width
        )

    def _style(self, part: str) -> Style:
        return self.get_component_rich_style(f"next-token--{part}")


class Alternatives(NextToken, can_focus=True):
    """NextToken with a cursor. Enter on one says so."""

    DEFAULT_CSS = """
    Alternatives:focus { border: round $border; border-title-color: $text; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "mark(-1)", "Up", show=False),
        Binding("down", "mark(1)", "Down", show=False),
        Binding("enter", "pick", "branch"),
    ]

    @dataclass
    class Picked(Message):
        """A person wants the text to go on with this one."""

        alternative: AlternativeLike

    def action_mark(self, step: int) -> None:
        """Move the cursor."""
        if self._top:
            self._marked = min(max((self._marked or 0) + step, 0), len(self._top) - 1)
            self.refresh()

    def action_pick(self) -> None:
        """Say which one the cursor is on."""
        if self._top and self._marked is not None:
            self.post_message(self.Picked(self._top[self._marked]))

    def on_focus(self, event: Focus) -> None:
        """Show the cursor: on the first that was not chosen, for that is what one comes for."""
        del event
        chosen = None if self._chosen is None else self._chosen.bytes
        others = (index for index, entry in enumerate(self._top) if entry.bytes != chosen)
        self._marked = next(others, 0)
        self.refresh()

    def on_blur(self, event: Blur) -> None:
        """Hide the cursor."""
        del event
        self._marked = None
        self.refresh()

    def on_click(self, event: Click) -> None:
        """A click marks, a second one picks."""
        offset = event.get_content_offset(self)
        width, height = self.content_size
        if offset is None or not self._top:
            return
        n_heads = int(self._is_wide(width) and height > 4)
        index = offset.y - n_heads + self._first_row(height - n_heads)
        if 0 <= index < len(self._top):
            self._marked = index
            self.refresh()
            if event.chain > 1:
                self.action_pick()

    def _set(self, top: tuple[AlternativeLike, ...], chosen: ScoredTokenLike | None) -> None:
        super()._set(top, chosen)
        if self._marked is not None:
            self._marked = min(self._marked, max(len(self._top) - 1, 0))
