"""The loss chart: training loss, raw and smoothed, validation, baselines, the journal's end, other runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual.content import Content
from textual.geometry import Region, Size
from textual.strip import Strip

from ..text.formats import TONES, Tone
from ..text.safe import unwrapped
from .chart_model import ChartData, Overlay
from .controls import ChartControls
from .frame_data import Ink
from .glyphs import CellGrid
from .render import compose, compose_message, lay_out

EMPTY_TEXT = "waiting for the first step…"


def _component(ink: Ink) -> str:
    return f"loss-chart--{ink.name.lower().replace('_', '-')}"


class LossChart(ChartControls):
    """A live chart of losses, drawn in braille, in the colours of the theme.

    Every change marks the frame as stale, and one frame is composed for all changes that wait; only rows
    that differ are painted again. How often new points are shown is the caller's choice.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {_component(ink) for ink in Ink}
    DEFAULT_CSS = """
    LossChart {
        height: 1fr;
        min-height: 3;
        border: round $foreground 25%;
        border-title-color: $text-muted;
        border-subtitle-align: left;
        padding: 0 1;
        &:focus { border: round $border; border-title-color: $text; }
        & > .loss-chart--text { color: $text-muted; }
        & > .loss-chart--axis { color: $foreground 50%; }
        & > .loss-chart--baseline { color: $foreground 60%; }
        & > .loss-chart--raw { color: $primary 60%; }
        &:ansi > .loss-chart--raw { text-style: dim; }
        & > .loss-chart--smoothed { color: $text-primary; text-style: bold; }
        & > .loss-chart--validation { color: $text-warning; }
        & > .loss-chart--goal { color: $text-success; text-style: bold; }
        & > .loss-chart--warning { color: $text-error; }
        & > .loss-chart--cursor { color: $text-accent; }
        & > .loss-chart--other-1 { color: $text-success; }
        & > .loss-chart--other-2 { color: $text-error; }
        & > .loss-chart--other-3 { color: $foreground 80%; }
        & > .loss-chart--other-4 { color: $secondary; }
        & > .loss-chart--other-5 { color: $text-accent; }
        & > .loss-chart--other-6 { color: $accent; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.border_title = "loss"
        self._grid = CellGrid.blank(0, 0)
        self._styles: list[Style] = []
        self._stale = True
        self._verdict: tuple[str, Tone] = ("", "plain")

    def show(self, data: ChartData) -> None:
        """Show a run as it is now; nothing, if it has no points yet."""
        self.model.show(data)
        self.redraw()

    def set_overlays(self, overlays: Sequence[Overlay]) -> None:
        """Lay other runs over this one."""
        self.model.set_overlays(overlays)
        self.redraw()

    def show_verdict(self, words: str, tone: Tone) -> None:
        """Show a line of words below the chart."""
        if self._verdict != (words, tone):
            self._verdict = (words, tone)
            self.border_subtitle = Content.styled(f" {unwrapped(words)} ", TONES[tone])

    @property
    def latest_smoothed(self) -> float:
        """The newest point of the smoothed curve, NaN before there is one."""
        return self.model.latest_smoothed

    @property
    def is_current(self) -> bool:
        """Whether everything that was shown has been drawn."""
        return not self._stale

    # Drawing

    def redraw(self) -> None:
        """Mark the frame as stale: one is composed once all waiting changes have been made."""
        self._stale = True
        if self.is_mounted:
            self.call_later(self._repaint)

    def _repaint(self) -> None:
        if not self._stale:
            return
        if not self.is_on_screen:
            self._grid = CellGrid.blank(0, 0)  # `render_line` composes when it is seen again
            return
        before = self._grid
        self._compose_grid(self.content_size)
        if before.codes_HW.shape != self._grid.codes_HW.shape:
            self.refresh()
        else:
            self._refresh_rows(self._grid.changed_rows(before))

    def _refresh_rows(self, rows: Sequence[int]) -> None:
        if rows:
            self.refresh(*(Region(0, row, self._grid.width, 1) for row in rows))

    def render_line(self, y: int) -> Strip:
        """One row of the frame; composes it if there is none of this size.

        A stale frame is used until `_repaint`, which paints all rows that then differ: the screen may ask for
        some of them only.
        """
        size = self.content_size
        if self._grid.codes_HW.shape != (size.height, size.width):
            self._compose_grid(size)
        if not self._styles:
            self._styles = [self.get_component_rich_style(_component(ink)) for ink in Ink]
        if not 0 <= y < self._grid.height:
            return Strip.blank(size.width, self.rich_style)
        return self._grid.strip(y, self._styles)

    def notify_style_update(self) -> None:
        """Read the theme's colours again."""
        self._styles = []
        super().notify_style_update()

    def _compose_grid(self, size: Size) -> None:
        self._stale = False
        frame = self.model.frame(self.glyphs)
        if frame is None:
            self._layout = None
            self._grid = compose_message(EMPTY_TEXT, size.height, size.width)
        else:
            self._layout = lay_out(frame, size.height, size.width)
            self._grid = compose(frame, size.height, size.width)
