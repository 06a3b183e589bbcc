"""The loss chart: training loss, raw and smoothed, validation, baselines, the journal's end, other runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from ..text.formats import TONES, Tone
from ..text.safe import unwrapped
from ..widgets import framed
from .chart_model import SMOOTHINGS, ChartData, ChartModel, Overlay
from .frame_data import Ink, Layout
from .glyphs import BRAILLE, CellGrid, Glyphs
from .render import compose, compose_message, lay_out
from .viewport import ZOOM, Viewport

EMPTY_TEXT = "waiting for the first step…"

MOVE = 0.2
"""The share of the visible range that a key moves the chart by."""


def _component(ink: Ink) -> str:
    return f"loss-chart--{ink.name.lower().replace('_', '-')}"


class LossChart(Widget, can_focus=True):
    """A live chart of losses, drawn in braille, in the colours of the theme; keys and mouse change its view.

    Every change marks the frame as stale, and one frame is composed for all changes that wait; only rows
    that differ are painted again. How often new points are shown is the caller's choice.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {_component(ink) for ink in Ink}
    DEFAULT_CSS = framed(
        "LossChart",
        """
        border-subtitle-align: left;
        & > .loss-chart--text { color: $text-muted; }
        & > .loss-chart--axis { color: $foreground 75%; }
        & > .loss-chart--baseline { color: $foreground 80%; }
        & > .loss-chart--raw { color: $text-primary 65%; }
        &:ansi > .loss-chart--raw { text-style: dim; }
        & > .loss-chart--smoothed { color: $text-primary; text-style: bold; }
        & > .loss-chart--validation { color: $text-warning; }
        & > .loss-chart--goal { color: $text-success; text-style: bold; }
        & > .loss-chart--warning { color: $text-error; }
        & > .loss-chart--cursor { color: $text-accent; }
        & > .loss-chart--other-1 { color: $text-success; }
        & > .loss-chart--other-2 { color: $text-error; }
        & > .loss-chart--other-3 { color: $foreground 80%; }
        & > .loss-chart--other-4 { color: $text-secondary; }
        & > .loss-chart--other-5 { color: $text-accent; }
        & > .loss-chart--other-6 { color: $foreground; }
        """,
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "cursor(-1)", "read", id="chart-left", tooltip="Read the previous point"),
        Binding("right", "cursor(1)", "read", show=False, id="chart-right", tooltip="Read the next point"),
        Binding("up,z", "zoom(1)", "zoom", id="chart-zoom-in", tooltip="Zoom in about the cursor"),
        Binding("down,Z", "zoom(-1)", "zoom out", show=False, id="chart-zoom-out", tooltip="Zoom out"),
        Binding("shift+left,comma", "move(-1)", "move", id="chart-earlier", tooltip="Earlier steps"),
        Binding("shift+right,full_stop", "move(1)", show=False, id="chart-later", tooltip="Later steps"),
        Binding("shift+up", "zoom_y(1)", show=False, id="chart-taller", tooltip="Zoom in on the loss"),
        Binding("shift+down", "zoom_y(-1)", show=False, id="chart-flatter", tooltip="Zoom out of the loss"),
        Binding("l", "toggle_log_y", "linear/log", show=False, id="loss-log"),
        Binding("x", "toggle_x_axis", "steps/time", show=False, id="loss-time"),
        Binding("b", "toggle_unit", "nats/bits", show=False, id="loss-bits"),
        Binding("plus", "smooth(1)", "smoother", show=False, id="loss-smoother"),
        Binding("minus", "smooth(-1)", "rougher", show=False, id="loss-rougher"),
        Binding("home", "whole", "whole", id="chart-whole", tooltip="The whole curve again"),
    ]

    def __init__(self, widget_id: str = "", glyphs: Glyphs = BRAILLE, smoothing: float = 0.9) -> None:
        super().__init__(id=widget_id or None)
        self.border_title = "loss"
        self.empty_text = EMPTY_TEXT
        self.glyphs = glyphs
        self.model = ChartModel(smoothing)
        self._layout: Layout | None = None
        self._grid = CellGrid.blank(0, 0)
        self._styles: list[Style] = []
        self._stale = True
        self._verdict: tuple[str, Tone] = ("", "plain")
        self._dragged_from: tuple[int, int] | None = None
        self._dragged = False

    def show(self, data: ChartData) -> None:
        self.model.show(data)
        self.redraw()

    def set_overlays(self, overlays: Sequence[Overlay]) -> None:
        self.model.set_overlays(overlays)
        self.redraw()

    def show_verdict(self, words: str, tone: Tone) -> None:
        """Show a line of words below the chart."""
        if self._verdict != (words, tone):
            self._verdict = (words, tone)
            self.border_subtitle = Content.styled(f" {unwrapped(words)} ", TONES[tone])

    # -- drawing ----------------------------------------------------------------------------------------

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
        elif rows := self._grid.changed_rows(before):
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
            self._grid = compose_message(self.empty_text, size.height, size.width)
        else:
            self._layout = lay_out(frame, size.height, size.width)
            self._grid = compose(frame, size.height, size.width)

    # -- keys -------------------------------------------------------------------------------------------

    def action_toggle_log_y(self) -> None:
        self.model.log_y = not self.model.log_y
        self.model.forget_range()
        self.redraw()

    def action_toggle_x_axis(self) -> None:
        self.model.x_axis = "time" if self.model.x_axis == "steps" else "steps"
        self._set_view(Viewport(None, self.model.view.y))

    def action_toggle_unit(self) -> None:
        self.model.unit = "bits" if self.model.unit == "nats" else "nats"
        self.model.forget_range()
        self.redraw()

    def action_smooth(self, direction: int) -> None:
        """Smooth more (1) or less (-1)."""
        index = SMOOTHINGS.index(self.model.smoothing) + direction
        self.model.smooth(SMOOTHINGS[min(max(index, 0), len(SMOOTHINGS) - 1)])
        self.redraw()

    def action_cursor(self, direction: int) -> None:
        """Read the point a column of cells to the right (1) or left (-1)."""
        low, high = self.model.visible_x
        width = max((self._layout.width if self._layout else 2) - 1, 1)
        self.model.move_cursor(direction * (high - low) / width)
        self.redraw()

    def action_hide_cursor(self) -> None:
        self.model.cursor_step = None
        self.redraw()

    @property
    def reads(self) -> bool:
        return self.model.cursor_step is not None

    def action_zoom(self, direction: int) -> None:
        """Zoom in (1) or out (-1), about the cursor or else the newest points."""
        at = self.model.cursor_x
        self._zoom(direction, self.model.visible_x[1] if at is None else at)

    def _zoom(self, direction: int, at: float) -> None:
        self._set_view(self.model.view.zoomed_x(self.model.whole_x, ZOOM**direction, at))

    def action_zoom_y(self, direction: int) -> None:
        """Zoom the losses in (1) or out (-1)."""
        self._set_view(self.model.view.zoomed_y(self.model.whole_y, ZOOM**direction))

    def action_move(self, direction: int) -> None:
        """Move to later (1) or earlier (-1) steps."""
        self._set_view(self.model.view.moved_x(self.model.whole_x, direction * MOVE))

    def action_whole(self) -> None:
        """Show the whole curve again, following new points."""
        self._set_view(Viewport())

    def _set_view(self, view: Viewport) -> None:
        self.model.view = view
        self.redraw()

    # -- mouse ------------------------------------------------------------------------------------------

    def _x_at(self, column: int) -> float | None:
        """The x of a column of the content; None outside the plot."""
        layout = self._layout
        if layout is None or not layout.left <= column < layout.right:
            return None
        low, high = self.model.visible_x
        return low + (high - low) * (column - layout.left) / max(layout.width - 1, 1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, -1)

    def _wheel(self, event: events.MouseEvent, direction: int) -> None:
        x = self._x_at(event.get_content_offset_capture(self).x)
        if x is not None:
            event.stop()
            self._zoom(direction, x)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._dragged_from, self._dragged = (event.screen_x, event.screen_y), False
        self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragged_from is None or self._layout is None:
            return
        across, down = event.screen_x - self._dragged_from[0], event.screen_y - self._dragged_from[1]
        if across or down:
            view = self.model.view.moved_x(self.model.whole_x, -across / max(self._layout.width - 1, 1))
            self._dragged_from, self._dragged = (event.screen_x, event.screen_y), True
            self._set_view(view.moved_y(down / max(self._layout.height, 1)))

    def on_mouse_up(self) -> None:
        self._dragged_from = None
        self.release_mouse()

    def on_click(self, event: events.Click) -> None:
        x = self._x_at(event.get_content_offset_capture(self).x)
        if event.chain == 2:
            self.action_whole()
        elif x is not None and not self._dragged:
            self.model.point_at(x)
            self.redraw()
