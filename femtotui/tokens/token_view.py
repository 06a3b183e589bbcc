"""Text, token by token: each generated token on a colour for its probability."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ..text.safe import Glyph
from ..widgets import framed
from .colours import DIFFERENCE, SURPRISE, WEIGHT, ColourScale, shows_scales
from .layout import PROMPT, TokenLayout

if TYPE_CHECKING:
    from femtotui.core.sampling.distribution import SampledToken

_LEGEND_MIN_HEIGHT = 4


class _Look(NamedTuple):
    """The look of a glyph; `shade` is None for the prompt, and for what has no weight."""

    shade: int | None
    is_faint: bool = False
    is_under_cursor: bool = False


class TokenView(ScrollView, can_focus=True):
    """A prompt, plain, and the tokens that follow it, coloured; with a cursor that moves over the tokens.

    While the cursor is off the text (None), the view follows the end of a growing text if `follow` is set;
    else it stays at the beginning of a new text. With differences, these colour the tokens; with weights,
    these colour the prompt, too.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"token-view--prompt", "token-view--cursor", "token-view--legend"}
    DEFAULT_CSS = framed(
        "TokenView",
        """
        border-subtitle-color: $text-muted;
        &:focus { border-subtitle-color: $text; }
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
        & > .token-view--prompt { color: $text-muted; }
        & > .token-view--cursor {
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: bold;
        }
        & > .token-view--legend { color: $text-muted; }
        """,
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Left", show=False, tooltip="The previous token"),
        Binding("right", "move(1)", "Right", show=False, tooltip="The next token"),
        Binding("up", "move_line(-1)", "Up", show=False, tooltip="The token above"),
        Binding("down", "move_line(1)", "Down", show=False, tooltip="The token below"),
        Binding("home", "first", "First", show=False, tooltip="The first token"),
        Binding("end", "last", "Last", show=False, tooltip="The last token"),
        Binding("escape", "release", "Release", show=False, tooltip="Move the cursor off the tokens"),
    ]

    cursor: reactive[int | None] = reactive(None, init=False, repaint=False)

    @dataclass
    class Highlighted(Message):
        """The cursor is on another token, counted from 0 after the prompt; None: it left the text."""

        index: int | None

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.follow = True
        self.prompt = b""
        self.tokens: list[SampledToken] = []
        self._differences: tuple[float, ...] = ()
        self._weights: Sequence[float] | None = None
        self._layout_of_tokens = TokenLayout()
        self._styles_of_looks: dict[_Look, Style] = {}

    # -- content ---------------------------------------------------------------------------------------

    def show(self, prompt: bytes, tokens: Iterable[SampledToken] = ()) -> None:
        """Replace the text by a prompt and tokens."""
        self.cursor = None
        self.prompt, self.tokens, self._differences, self._styles_of_looks = prompt, [], (), {}
        self._layout_of_tokens.reset(prompt)
        self._text_changed(0)
        if self.is_attached:
            self.scroll_home(animate=False, immediate=True, force=True, x_axis=False)
        self.append(tokens)

    def append(self, tokens: Iterable[SampledToken]) -> None:
        """Add tokens at the end; the view follows them unless the cursor is on the text."""
        if new := list(tokens):
            self.tokens += new
            self._text_changed(self._layout_of_tokens.extend(token.bytes for token in new))

    def rescore(self, tokens: Sequence[SampledToken], differences: Iterable[float] = ()) -> bool:
        """Give the same text other figures: the cursor stays. False, and no change, if the text is another.

        `differences`, one per token, are the bits by which this model predicted it better than another.
        """
        if [token.bytes for token in tokens] != [token.bytes for token in self.tokens]:
            return False
        self.tokens, self._differences = list(tokens), tuple(differences)
        self._styles_of_looks = {}
        self.refresh()
        return True

    def tint(self, weights: Sequence[float] | None) -> None:
        """Colour by a weight for each byte, prompt included, which stay for the next text; None: no more.

        Bytes without a weight, or with NaN, have no colour.
        """
        if (weights is None) != (self._weights is None):
            self._styles_of_looks = {}
        self._weights = weights
        self.refresh()

    # -- cursor ----------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Move by some tokens; from off the text, to its last token (back) or its first."""
        if self.cursor is None:
            self.cursor = len(self.tokens) - 1 if by < 0 else 0
        else:
            self.cursor += by

    def action_move_line(self, by: int) -> None:
        if self.cursor is None:
            self.action_move(by)
            return
        layout = self._layout_of_tokens
        line = layout.lines_of(self.cursor).start + by
        token = layout.token_at(line, layout.column_of(self.cursor))
        if token is not None:
            self.cursor = token

    def action_first(self) -> None:
        self.cursor = 0

    def action_last(self) -> None:
        self.cursor = len(self.tokens) - 1

    def action_release(self) -> None:
        """Move the cursor off the text; a view that follows a growing text follows it again."""
        self.cursor = None
        if self.follow:
            self._follow_end()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave Escape to the parents while the cursor is off the text, or weights are shown."""
        del parameters
        return action != "release" or (self.cursor is not None and self._weights is None)

    def on_click(self, event: Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or self._is_legend(offset.y):
            return
        token = self._layout_of_tokens.token_at(offset.y + self.scroll_offset.y, offset.x)
        if token is not None:
            self.cursor = token

    def validate_cursor(self, cursor: int | None) -> int | None:
        if cursor is None or not self.tokens:
            return None
        return min(max(cursor, 0), len(self.tokens) - 1)

    def watch_cursor(self, before: int | None, cursor: int | None) -> None:
        for token in (before, cursor):
            if token is not None and token < len(self.tokens):
                lines = self._layout_of_tokens.lines_of(token)
                self.refresh_lines(lines.start, len(lines))
        if cursor is not None:
            line = self._layout_of_tokens.lines_of(cursor).start
            height = max(self._text_height, 1)
            if not self.scroll_offset.y <= line < self.scroll_offset.y + height:
                top = line if line < self.scroll_offset.y else line - height + 1
                self.scroll_to(y=top, animate=False, force=True)
        self.post_message(self.Highlighted(cursor))

    # -- layout ----------------------------------------------------------------------------------------

    @property
    def _has_legend(self) -> bool:
        return self.scrollable_content_region.height >= _LEGEND_MIN_HEIGHT

    @property
    def _text_height(self) -> int:
        return self.scrollable_content_region.height - self._has_legend

    def _is_legend(self, y: int) -> bool:
        return self._has_legend and y == self.scrollable_content_region.height - 1

    def on_resize(self) -> None:
        self._layout_of_tokens.set_width(self.scrollable_content_region.width)
        self._text_changed(0)

    def _text_changed(self, first_line: int) -> None:
        """Adapt the scroll area to lines that changed from `first_line` on, and paint the visible ones."""
        if not self.is_attached:
            return  # `on_resize` lays the text out with the first frame
        width = self.scrollable_content_region.width
        n_lines = self._layout_of_tokens.n_lines
        self.virtual_size = Size(width, n_lines + self._has_legend)
        self.refresh_lines(first_line, max(n_lines - first_line, self._text_height))
        if self.cursor is None and self.follow:
            self._follow_end()

    def _follow_end(self) -> None:
        # `force`: the scroll bar that the text needs by now may not be there yet.
        self.scroll_end(animate=False, immediate=True, force=True, x_axis=False)

    # -- drawing ---------------------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        """Mix the colours again for another theme."""
        self._styles_of_looks = {}
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """One line of the view: text, or the legend at the bottom."""
        width = self.scrollable_content_region.width
        if self._is_legend(y):
            return self._legend(width)
        line = self._layout_of_tokens.line(y + self.scroll_offset.y)
        segments = [Segment(glyph.text, self._style(self._look(glyph))) for glyph in line]
        return Strip(segments).simplify().adjust_cell_length(width, self.rich_style).crop(0, width)

    @property
    def _scale(self) -> ColourScale:
        if self._weights is not None:
            return WEIGHT
        return DIFFERENCE if self._differences else SURPRISE

    def _look(self, glyph: Glyph) -> _Look:
        """The look of a character; one of several tokens is as likely as all of them together."""
        tokens = self._layout_of_tokens.tokens_of(glyph)
        generated = [token for token in tokens if token != PROMPT]
        if self._weights is not None:
            known = [w for w in self._weights[glyph.start : glyph.stop] if not math.isnan(w)]
            shade = self._scale.shade_of(max(known)) if known else None
        elif tokens[-1] == PROMPT:
            shade = None
        elif self._differences:
            known = [self._differences[token] for token in generated if token < len(self._differences)]
            shade = self._scale.shade_of(math.fsum(known))
        else:
            shade = self._scale.shade_of(math.prod(self.tokens[token].p for token in generated))
        is_under_cursor = self.cursor is not None and self.cursor in tokens
        return _Look(shade, glyph.kind in ("space", "newline"), is_under_cursor)

    @property
    def _in_colour(self) -> bool:
        return shows_scales(self.app)

    def _style(self, look: _Look) -> Style:
        if look not in self._styles_of_looks:
            self._styles_of_looks[look] = self._mixed_style(look)
        return self._styles_of_looks[look]

    def _mixed_style(self, look: _Look) -> Style:
        if look.is_under_cursor:
            cursor = self.get_component_rich_style("token-view--cursor")
            return cursor if self._in_colour else cursor + Style(reverse=True)
        if look.shade is None:
            return self.get_component_rich_style("token-view--prompt") + Style(dim=look.is_faint or None)
        if not self._in_colour:
            return self.rich_style + self._scale.style(look.shade, None)
        return self._scale.style(look.shade, self.background_colors[1], faint=look.is_faint)

    def _legend(self, width: int) -> Strip:
        """The meaning of the colours, in as many words as there is room for."""
        style = self.get_component_rich_style("token-view--legend")
        lead, entries = self._scale.fitting_legend(width, self._in_colour)
        samples = [
            Segment(f" {name} ", self._style(_Look(self._scale.shade_of(value))))
            for name, value in entries.items()
        ]
        return Strip([Segment(lead, style), *samples]).adjust_cell_length(width, style).crop(0, width)
