"""The loss chart: training loss, raw and smoothed, validation, baselines, the journal's end, other runs."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import ClassVar

from numpy.typing import ArrayLike
from rich.style import Style
from textual.content import Content
from textual.geometry import Region, Size
from textual.strip import Strip

from ..runs.verdict import Verdict
from ..text.formats import TONES
from ..text.safe import narrow_line, unwrapped
from .chart_model import NAME_WIDTH, Overlay
from .controls import ChartControls
from .frame_data import Ink
from .glyphs import CellGrid
from .render import compose, compose_message, lay_out

EMPTY_TEXT = "waiting for the first step…"
FRAME_SECONDS = 1.0
"""New points are drawn this often at most; what keys and the mouse ask for is drawn at once."""


def _component(ink: Ink) -> str:
    return f"loss-chart--{ink.name.lower().replace('_', '-')}"


class LossChart(ChartControls):
    """A live chart of losses, drawn in braille, in the colours of the theme.

    Data comes in through methods; each call only notes that the picture is stale, and one frame is
    composed for all calls since the last, in a frame of its own and not with each number that moves on the
    screen. Only rows that changed are painted again.
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

    def __init__(
        self,
        *,
        name: str | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
        disabled: bool = False,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes, disabled=disabled)
        self.border_title = "loss"
        self._grid = CellGrid.blank(0, 0)
        self._styles: list[Style] = []
        self._stale = True
        self._scheduled = False
        self._framed_at = -math.inf
        self._verdict: Verdict | None = None
        self._said: Verdict | None = None

    # What is shown

    def add_points(self, steps: ArrayLike, losses: ArrayLike, elapsed_s: ArrayLike | None = None) -> None:
        """Append training losses. `elapsed_s` (seconds of training) is what the time axis goes by.

        A step that was there before takes its place again, and what came after it goes.
        """
        self.model.series.extend(steps, losses, elapsed_s)
        self._grew()

    def add_validation(self, step: int, loss: float) -> None:
        """Append one measurement on text that is never trained on."""
        self.model.add_validation(step, loss)
        self._grew()

    def set_baselines(self, baselines: Sequence[tuple[str, float]]) -> None:
        """Draw a faint line at each value and name it; values that are not finite are left out."""
        self.model.set_baselines(baselines)
        self.redraw()

    def set_bytes_per_token(self, bytes_per_token: float | None) -> None:
        """What turns nats a token into bits a byte; None if nobody knows."""
        self.model.bytes_per_token = bytes_per_token or None
        self.redraw()

    def set_goal(self, step: int, loss: float, label: str) -> None:
        """Mark the point that an earlier run ended at."""
        self.model.goal = (float(step), float(loss), narrow_line(label, NAME_WIDTH))
        self.redraw()

    def clear_goal(self) -> None:
        """Take the goal away."""
        self.model.goal = None
        self.redraw()

    def set_overlays(self, overlays: Sequence[Overlay]) -> None:
        """Lay other runs over this one."""
        self.model.set_overlays(overlays)
        self.redraw()

    def show_verdict(self, verdict: Verdict) -> None:
        """Say below the chart what its curve means."""
        if verdict != self._verdict:
            self._verdict = verdict
            self._soon()

    def clear(self) -> None:
        """Forget points, validation, baselines and goal: for another run."""
        self.model.clear()
        self.redraw()

    @property
    def latest_smoothed(self) -> float:
        """The newest point of the smoothed curve, NaN before there is one."""
        return self.model.latest_smoothed

    @property
    def is_current(self) -> bool:
        """Whether the picture shows all that the chart was told."""
        return not (self._stale or self._scheduled)

    # Drawing

    def redraw(self) -> None:
        """The picture is stale: compose one frame once everything that is waiting has been taken in."""
        self._stale = True
        if self.is_mounted:
            self.call_later(self._repaint)

    def _grew(self) -> None:
        """The picture is stale, and may be so until it is time for the next frame."""
        self._stale = True
        self._soon()

    def _soon(self) -> None:
        if self.is_mounted and not self._scheduled:
            self._scheduled = True
            wait = self._framed_at + FRAME_SECONDS - time.monotonic()
            if wait > 0:
                self.set_timer(wait, self._frame)
            else:
                self.call_later(self._frame)

    def _frame(self) -> None:
        self._scheduled, self._framed_at = False, time.monotonic()
        verdict = self._verdict
        if verdict is not None and verdict is not self._said:
            self._said = verdict
            self.border_subtitle = Content.styled(f" {unwrapped(verdict.words)} ", TONES[verdict.tone])
        self._repaint()

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

        A stale one is good until `_repaint`, which paints all rows that then differ: the screen may ask for
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
        picture = self.model.picture(self.glyphs)
        if picture is None:
            self._layout = None
            self._grid = compose_message(EMPTY_TEXT, size.height, size.width)
        else:
            self._layout = lay_out(picture, size.height, size.width)
            self._grid = compose(picture, size.height, size.width)
