"""The most probable next tokens, as bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from ..text.safe import glyphs, one_line
from ..widgets import framed

if TYPE_CHECKING:
    from femtotui.core.sampling.distribution import Alternative, SampledToken

_PERCENT_WIDTH = 7
_NAME_WIDTH = 10
_SMALL_NAME_WIDTH = 6
_TWO_COLUMNS_WIDTH = 30
_EIGHTHS = " ▏▎▍▌▋▊▉█"
EMPTY_TEXT = "no token yet"


def bar(share: float, width: int) -> str:
    """A bar of `width` cells, filled to `share` (0 to 1) in steps of an eighth of a cell."""
    share = min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
    eighths = round(share * width * 8)
    if share > 0 and width:
        eighths = max(eighths, 1)
    full, rest = divmod(eighths, 8)
    return (_EIGHTHS[8] * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def quoted(token: bytes, width: int | None = None) -> str:
    """A token between quotes, inert, with dots for spaces; in exactly `width` cells, if that is above two."""
    text = "".join(glyph.text for glyph in glyphs(token))
    if width is None:
        return f"'{text}'"
    text = one_line(text, max(width - 2, 1))
    return f"'{text}'" + " " * (width - 2 - cell_len(text))


def percent(p: float) -> str:
    """A probability as a percentage, always seven cells wide."""
    return f"{100 * p:6.1f}%" if math.isfinite(p) else f"{'?':>{_PERCENT_WIDTH}}"


class NextToken(Widget, can_focus=True):
    """The alternatives to a token, before and after top-p, and the token's rank, surprise and entropy.

    With `can_branch` it takes the focus and shows a cursor; Enter picks the alternative under it.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"next-token--{part}" for part in ("name", "bar", "percent", "chosen", "summary", "cut")
    }
    DEFAULT_CSS = framed(
        "NextToken",
        """
        & > .next-token--name { color: $text; }
        & > .next-token--bar { color: $primary; }
        & > .next-token--percent { color: $text-muted; }
        & > .next-token--chosen { color: $text-accent; text-style: bold; }
        & > .next-token--summary { color: $text-muted; }
        & > .next-token--cut { color: $text-muted; text-style: dim; }
        """,
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "mark(-1)", "Up", show=False, tooltip="The alternative above"),
        Binding("down", "mark(1)", "Down", show=False, tooltip="The alternative below"),
        Binding("enter", "pick", "branch", tooltip="Continue the text with this alternative"),
    ]

    @dataclass
    class Picked(Message):
        """The user wants the text to continue with this alternative."""

        alternative: Alternative

    def __init__(self, *, can_branch: bool = False, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.can_focus = can_branch
        self.border_title = self._title = "next token"
        self.columns = ("raw", "after top-p")
        self._top: tuple[Alternative, ...] = ()
        self._token: SampledToken | None = None
        self._marked: int | None = None
        self._largest = 1.0

    def show(
        self, token: SampledToken | None, top: Sequence[Alternative] | None = None, before: bytes = b""
    ) -> None:
        """Show a token, the end of the text before it, and the alternatives to it, best first.

        They are the token's own, unless `top` has others. Bars are scaled to the largest of them.
        """
        title = f"after {quoted(before)}" if before else "next token"
        if title != self._title:
            self._title = title
            self.border_title = Content(title)
        alternatives = tuple(top if top is not None else token.top if token is not None else ())
        if alternatives != self._top or token is not self._token:
            self._top, self._token = alternatives, token
            largest = max((max(entry.p, entry.p_cut) for entry in alternatives), default=0.0)
            self._largest = largest if largest > 0 else 1.0
            if self._marked is not None:
                self._marked = min(self._marked, max(len(alternatives) - 1, 0))
            self.refresh()

    # -- drawing ---------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One alternative per line; the last two lines summarise the chosen token."""
        width, height = self.content_size
        summary = self._summary(width)
        n_rows = height - len(summary)
        segments: list[Segment] = []
        if not self._top:
            segments = [Segment(EMPTY_TEXT, self._style("summary"))] if y == 0 else []
        elif y < self._n_heads:
            segments = self._heads(width)
        elif y < n_rows:
            index = y - self._n_heads + self._first_row
            segments = self._alternative(index, width) if index < len(self._top) else []
        elif y - n_rows < len(summary):
            segments = [Segment(summary[y - n_rows], self._style("summary"))]
        return Strip(segments).adjust_cell_length(width, self.rich_style).crop(0, width)

    @property
    def _is_wide(self) -> bool:
        """Whether there is room for the bars before and after top-p, side by side."""
        return self.content_size.width >= _TWO_COLUMNS_WIDTH

    @property
    def _n_heads(self) -> int:
        return int(self._is_wide and self.content_size.height > 4)

    @property
    def _first_row(self) -> int:
        """The alternative in the first row: the marked one must be visible."""
        width, height = self.content_size
        n_rows = height - self._n_heads - len(self._summary(width))
        return 0 if self._marked is None else max(0, self._marked - n_rows + 1)

    def _columns(self, width: int) -> tuple[int, int]:
        """The cells for a name and for each bar."""
        if self._is_wide:
            most = _NAME_WIDTH if width >= 44 else _SMALL_NAME_WIDTH
        else:
            most = max(3, min(_NAME_WIDTH, width - _PERCENT_WIDTH - 3))
        name_width = min(most, max((cell_len(quoted(entry.bytes)) for entry in self._top), default=3))
        return name_width, max((width - name_width) // (1 + self._is_wide) - 1 - _PERCENT_WIDTH, 0)

    def _heads(self, width: int) -> list[Segment]:
        name_width, bar_width = self._columns(width)
        column_width = bar_width + _PERCENT_WIDTH
        first = one_line(self.columns[0], column_width - 1)
        second = one_line(self.columns[1], column_width)
        gap = " " * (column_width - cell_len(first))
        return [Segment(f"{'':{name_width}} {first}{gap} {second}", self._style("summary"))]

    def _alternative(self, index: int, width: int) -> list[Segment]:
        entry = self._top[index]
        is_cut = entry.p_cut == 0
        name, number = self._style("cut" if is_cut else "name"), self._style("cut" if is_cut else "percent")
        if self._token is not None and entry.bytes == self._token.bytes:
            name = number = self._style("chosen")
        if index == self._marked:
            name = name + Style(reverse=True)
        name_width, bar_width = self._columns(width)
        row = [Segment(quoted(entry.bytes, name_width), name)]
        columns = [(entry.p, percent(entry.p))]
        if self._is_wide:
            columns.append((entry.p_cut, f"{'–':>{_PERCENT_WIDTH}}" if is_cut else percent(entry.p_cut)))
        for share, words in columns:
            row.append(
                Segment(" " + bar(share / self._largest, bar_width), self._style("cut" if is_cut else "bar"))
            )
            row.append(Segment(words, number))
        return row

    def _summary(self, width: int) -> tuple[str, ...]:
        """Rank, surprise and entropy, on as many lines as they need; none without a token."""
        token = self._token
        if token is None or self.content_size.height <= 3:
            return ()
        rank = f"rank {token.rank} · surprise {token.surprise_bits:.2f}"
        entropy = f"entropy {token.entropy_bits:.2f} bits"
        both = f"{quoted(token.bytes)} {rank} · {entropy}"
        if cell_len(both) <= width:
            return (both,)
        rank = f"{rank} bits" if len(rank) + 5 <= width else rank
        return one_line(rank, width), one_line(entropy, width)

    def _style(self, part: str) -> Style:
        return self.get_component_rich_style(f"next-token--{part}")

    # -- cursor ----------------------------------------------------------------------------------------

    def action_mark(self, by: int) -> None:
        if self._top:
            self._marked = min(max((self._marked or 0) + by, 0), len(self._top) - 1)
            self.refresh()

    def action_pick(self) -> None:
        if self._top and self._marked is not None:
            self.post_message(self.Picked(self._top[self._marked]))

    def on_focus(self) -> None:
        """Show the cursor, on the first alternative that was not chosen."""
        chosen = None if self._token is None else self._token.bytes
        others = (index for index, entry in enumerate(self._top) if entry.bytes != chosen)
        self._marked = next(others, 0)
        self.refresh()

    def on_blur(self) -> None:
        self._marked = None
        self.refresh()

    def on_click(self, event: Click) -> None:
        """A click marks an alternative, a double click picks it."""
        offset = event.get_content_offset(self)
        if offset is None or not self._top or not self.can_focus:
            return
        index = offset.y - self._n_heads + self._first_row
        if 0 <= index < len(self._top):
            self._marked = index
            self.refresh()
            if event.chain > 1:
                self.action_pick()
