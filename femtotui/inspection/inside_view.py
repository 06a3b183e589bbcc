"""Inside: what a model looked at when it predicted a token, and what it would have said after each layer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events, on
from textual.app import ComposeResult
from textual.color import Color
from textual.containers import Container
from textual.content import Content
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from ..text.safe import one_line
from ..tokens.alternatives import quoted
from ..tokens.colours import WEIGHT, shows_scales
from ..widgets import framed
from ..widgets.help_screen import Rows
from .head_strips import HeadChoice, Painted, Row, head_rows, looked_at
from .lens import lens_rows
from .text_window import TokenSight

_SPACIOUS = 26
"""Rows from which sections stand apart."""

MEANINGS: Rows = (
    ("attention", "what the token before the cursor's looked at when the model predicted the cursor's: each "
     "strip is the text as one head saw it. Looking back is the only way to use earlier tokens, so a head "
     "that copies or adds is bright on what the answer needs. Brighter, or a higher digit (tenths), is more; "
     "what is outside the model's window has no colour"),
    ("lens", "what the model would say if it stopped after a layer. It shows which layer finds the answer, "
     "and which only make it surer. Read along the layers: where the chosen token (▸) comes first, it is "
     "found; its probability and rank stand at the end"),
    ("time", "the same text in the run's kept checkpoints, and the newest model. One sees when a head or a "
     "layer learnt its part. Step back with [ and watch what is gone; frames of the time-lapse keep samples "
     "and no parameters, so the newest model reads their text"),
)  # fmt: skip


class Seen(NamedTuple):
    """A model's name, and its prediction; words say why there is none, or none of this model yet."""

    title: str = ""
    sight: TokenSight | None = None
    words: str = ""


def inside_rows(
    sight: TokenSight, choice: HeadChoice, size: Size, *, everything: bool, in_colour: bool
) -> list[Row]:
    """A token's prediction: in words, as strips of heads, as lens.

    All heads are drawn where they fit beside the lens, else those of a layer; for `everything`, as many as
    fit, and the lens where it still does.
    """
    (width, height), window = size, sight.window
    choice = choice.moved("", 0, sight)
    words = f"to predict {quoted(sight.chosen)}, {quoted(sight.pieces[-1])} before it looked at"
    rows: list[Row] = [[Painted(one_line(words, width))]]
    if window.start:
        words = (
            f"its context of {window.context} holds {sight.n_seen} of {sight.n_seen + window.start} tokens"
        )
        rows.append([Painted(one_line(words, width), "muted")])
    lead = f"{choice.words}: "
    rows.append([Painted(lead, "marked"), Painted(looked_at(sight, choice, width - len(lead)))])
    gap: list[Row] = [[]] if height >= _SPACIOUS else []
    left = height - len(rows) - 2 * len(gap)

    heads, least = partial(head_rows, sight, choice, width, in_colour=in_colour), len(sight.ranks()) + 1
    strips = heads(left, everything=True)
    if not everything and len(strips) + least > left:
        strips = heads(max(left - least, 2 + (not in_colour)), everything=False)
    lens = lens_rows(sight, width, left - len(strips)) if left - len(strips) > 1 else []
    return [*rows, *gap, *strips, *gap, *lens][:height]


class InsidePanel(Widget):
    """One model's attention and lens for one token."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"inside-panel--{part}" for part in ("text", "muted", "marked")}
    DEFAULT_CSS = framed(
        "InsidePanel",
        """
        width: 1fr;
        border-subtitle-color: $text-muted;
        & > .inside-panel--text { color: $text; }
        & > .inside-panel--muted { color: $text-muted; }
        & > .inside-panel--marked { color: $text-accent; text-style: bold; }
        """,
    )

    def __init__(self) -> None:
        super().__init__()
        self._state: tuple[Seen, HeadChoice, bool] = (Seen(), HeadChoice(), False)
        self._rows: list[Row] = []

    def show(self, seen: Seen, choice: HeadChoice, everything: bool, mark: str) -> None:
        """Show a prediction; without one, words instead. `everything`: all heads."""
        self.border_title = Content(one_line(mark + seen.title))
        self.border_subtitle = Content(one_line(seen.words) if seen.sight is not None else "")
        self._state = seen, choice, everything
        self._lay_out()

    @on(events.Resize)
    def _lay_out(self) -> None:
        (seen, choice, everything), size = self._state, self.content_size
        if seen.sight is None:
            lines = Content(one_line(seen.words)).wrap(max(size.width, 1))
            self._rows = [[Painted(line.plain, "muted")] for line in lines]
        else:
            in_colour = shows_scales(self.app)
            self._rows = inside_rows(seen.sight, choice, size, everything=everything, in_colour=in_colour)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, row = self.content_size.width, self._rows[y] if y < len(self._rows) else []
        ground = self.background_colors[1] if shows_scales(self.app) else None
        segments = [Segment(ink.text, self._style(ink, ground)) for ink in row]
        return Strip(segments).simplify().adjust_cell_length(width, self.rich_style).crop(0, width)

    def _style(self, ink: Painted, ground: Color | None) -> Style:
        if ink.shade is None or ground is None:
            return self.get_component_rich_style(f"inside-panel--{ink.part}")
        return _shade_style(ink.shade, ground, ink.part == "marked")


@lru_cache(maxsize=256)
def _shade_style(shade: int, ground: Color, is_bold: bool) -> Style:
    return WEIGHT.style(shade, ground) + Style(bold=is_bold or None)


class InsidePanels(Container):
    """The panels of this model and of the one to compare it with, on the same token, layer and head.

    `marked` is the number of the panel whose weights colour the text, and the one that is seen where there
    is no room for both.
    """

    def __init__(self) -> None:
        super().__init__(id="inside")
        self.choice, self.everything, self.marked = HeadChoice(), False, 0
        self._seen: Sequence[Seen] = (Seen(),)

    def compose(self) -> ComposeResult:
        yield InsidePanel()
        yield InsidePanel()

    def show(self, seen: Sequence[Seen]) -> None:
        """Show what each model predicted, of one model or two."""
        self._seen, self.marked = seen, min(self.marked, len(seen) - 1)
        for number, panel in enumerate(self.query(InsidePanel)):
            panel.set_class(number == self.marked, "-marked")
            panel.set_class(number >= len(seen), "-unused")
            if number < len(seen):
                mark = "▸ " if number == self.marked and len(seen) > 1 else ""
                panel.show(seen[number], self.choice, self.everything, mark)

    def look(self, what: str, by: int) -> None:
        """Move to another layer or head."""
        sight = self._seen[self.marked].sight
        if sight is not None:
            self.choice = self.choice.moved(what, by, sight)

    @property
    def weights_and_caption(self) -> tuple[list[float], str]:
        """The weights that colour the text, for each of its bytes, and the head and model they are of."""
        title, sight, words = self._seen[self.marked]
        if sight is None:
            return [], one_line(words)
        choice = self.choice.moved("", 0, sight)
        return sight.byte_weights(*choice), one_line(f"{choice.words} · {title}")
