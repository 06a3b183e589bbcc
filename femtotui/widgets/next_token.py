"""The likeliest next tokens, as bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from ..safe_text import glyphs, one_line
from ..token_protocol import AlternativeLike, ScoredTokenLike

_PERCENT_WIDTH = 7
_NAME_WIDTH = 10
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


class NextToken(Widget):
    """What the model thought of: the top alternatives at a place, and how the chosen token compares."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "next-token--name",
        "next-token--bar",
        "next-token--percent",
        "next-token--chosen",
        "next-token--summary",
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
        self._top: tuple[AlternativeLike, ...] = ()
        self._chosen: ScoredTokenLike | None = None

    def show(self, token: ScoredTokenLike) -> None:
        """Show the alternatives at a chosen token's place, and its rank, surprise and entropy."""
        self._set(tuple(token.top), token)

    def show_alternatives(self, top: Sequence[AlternativeLike]) -> None:
        """Show a distribution of which nothing has been chosen, best first."""
        self._set(tuple(top), None)

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
        summary = self._summary(width) if height > 3 else ()
        n_rows = height - len(summary)
        segments: list[Segment] = []
        if not self._top:
            segments = [Segment(EMPTY_TEXT, self._style("summary"))] if y == 0 else []
        elif y < n_rows:
            segments = self._alternative(y, width) if y < len(self._top) else []
        elif y - n_rows < len(summary):
            segments = [Segment(summary[y - n_rows], self._style("summary"))]
        return Strip(segments).adjust_cell_length(width, self.rich_style).crop(0, width)

    def _alternative(self, index: int, width: int) -> list[Segment]:
        entry = self._top[index]
        is_chosen = self._chosen is not None and entry.bytes == self._chosen.bytes
        name_width = max(3, min(_NAME_WIDTH, width - _PERCENT_WIDTH - 3))
        bar_width = max(width - name_width - _PERCENT_WIDTH - 1, 0)
        return [
            Segment(quoted(entry.bytes, name_width) + " ", self._style("chosen" if is_chosen else "name")),
            Segment(bar(entry.p, bar_width), self._style("bar")),
            Segment(percent(entry.p), self._style("chosen" if is_chosen else "percent")),
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
