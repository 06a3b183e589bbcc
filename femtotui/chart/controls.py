"""Keys and mouse of a chart: which part of it is seen, on which axes, and which point is read."""

from __future__ import annotations

import math
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.widget import Widget

from .chart_model import SMOOTHINGS, ChartModel, Unit
from .frame_data import Layout, XAxis
from .glyphs import BRAILLE, Glyphs
from .viewport import ZOOM, Viewport

MOVE = 0.2
"""The share of the visible range that a key moves the chart by."""


class ChartControls(Widget, can_focus=True):
    """Turns keys and the mouse into view settings of `model`, and calls `redraw` after each change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "cursor(-1)", "read", id="chart-left", tooltip="Read the point to the left"),
        Binding(
            "right", "cursor(1)", "read", show=False, id="chart-right", tooltip="Read the point to the right"
        ),
        Binding("up,z", "zoom(1)", "zoom", id="chart-zoom-in", tooltip="Zoom in about the cursor"),
        Binding("down,Z", "zoom(-1)", "zoom out", show=False, id="chart-zoom-out", tooltip="Zoom out again"),
        Binding("shift+left,comma", "move(-1)", "move", id="chart-earlier", tooltip="Earlier steps"),
        Binding(
            "shift+right,full_stop", "move(1)", "later", show=False, id="chart-later", tooltip="Later steps"
        ),
        Binding(
            "shift+up", "zoom_y(1)", "zoom loss", show=False, id="chart-taller", tooltip="Zoom in on the loss"
        ),
        Binding(
            "shift+down",
            "zoom_y(-1)",
            "zoom loss out",
            show=False,
            id="chart-flatter",
            tooltip="Zoom out on the loss",
        ),
        Binding("l", "toggle_log_y", "linear/log", show=False, id="loss-log"),
        Binding("x", "toggle_x_axis", "steps/time", show=False, id="loss-time"),
        Binding("b", "toggle_unit", "nats/bits", show=False, id="loss-bits"),
        Binding("plus", "smooth(1)", "smoother", show=False, id="loss-smoother"),
        Binding("minus", "smooth(-1)", "rougher", show=False, id="loss-rougher"),
        Binding("home", "whole", "whole", id="chart-whole", tooltip="The whole curve again"),
    ]

    smoothing: reactive[float] = reactive(0.9, init=False)
    log_y: reactive[bool] = reactive(False, init=False)
    x_axis: reactive[XAxis] = reactive("steps", init=False)
    unit: reactive[Unit] = reactive("nats", init=False)
    glyphs: reactive[Glyphs] = reactive(BRAILLE, init=False)

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.model = ChartModel(self.smoothing)
        self._layout: Layout | None = None
        self._dragged_from: tuple[int, int] | None = None
        self._dragged = False

    def redraw(self) -> None:
        """Draw the model again."""
        raise NotImplementedError

    # Keys

    def action_toggle_log_y(self) -> None:
        """Switch between a linear and a logarithmic loss axis."""
        self.log_y = not self.log_y

    def action_toggle_x_axis(self) -> None:
        """Switch between steps and training time."""
        self.x_axis = "time" if self.x_axis == "steps" else "steps"

    def action_toggle_unit(self) -> None:
        """Switch between nats per token and bits per byte."""
        self.unit = "bits" if self.unit == "nats" else "nats"

    def action_smooth(self, direction: int) -> None:
        """Go to the next stronger (1) or weaker (-1) smoothing."""
        nearest = min(range(len(SMOOTHINGS)), key=lambda index: abs(SMOOTHINGS[index] - self.smoothing))
        self.smoothing = SMOOTHINGS[min(max(nearest + direction, 0), len(SMOOTHINGS) - 1)]

    def action_cursor(self, direction: int) -> None:
        """Read the next point to the right (1) or left (-1), a column of cells away."""
        low, high = self.model.seen_x
        width = max((self._layout.width if self._layout else 2) - 1, 1)
        self.model.move_cursor(direction * (high - low) / width)
        self.redraw()

    def action_hide_cursor(self) -> None:
        """Stop reading."""
        self.model.cursor_step = None
        self.redraw()

    @property
    def reads(self) -> bool:
        """Whether the cursor is shown."""
        return self.model.cursor_step is not None

    def action_zoom(self, direction: int) -> None:
        """Closer (1) or farther (-1), about the cursor, or else about the newest points."""
        at = self.model.cursor_x
        self._zoom(direction, self.model.seen_x[1] if at is None else at)

    def _zoom(self, direction: int, at: float) -> None:
        model = self.model
        model.view = model.view.zoomed_x(model.whole_x, ZOOM if direction > 0 else 1 / ZOOM, at)
        self.redraw()

    def action_zoom_y(self, direction: int) -> None:
        """Zoom the losses in (1) or out (-1)."""
        model = self.model
        model.view = model.view.zoomed_y(model.whole_y, ZOOM if direction > 0 else 1 / ZOOM)
        self.redraw()

    def action_move(self, direction: int) -> None:
        """To later (1) or earlier (-1) steps."""
        self.model.view = self.model.view.moved_x(self.model.whole_x, direction * MOVE)
        self.redraw()

    def action_whole(self) -> None:
        """The whole curve again, following new points."""
        self.model.view = Viewport()
        self.redraw()

    # Mouse

    def _x_at(self, column: int) -> float | None:
        """The x of a column of the content; None outside the plot."""
        layout = self._layout
        if layout is None or not layout.left <= column < layout.right:
            return None
        low, high = self.model.seen_x
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
            self.model.view = view.moved_y(down / max(self._layout.height, 1))
            self._dragged_from, self._dragged = (event.screen_x, event.screen_y), True
            self.redraw()

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

    # View settings

    def validate_smoothing(self, smoothing: float) -> float:
        return min(max(smoothing, SMOOTHINGS[0]), SMOOTHINGS[-1]) if math.isfinite(smoothing) else 0.0

    def watch_smoothing(self, smoothing: float) -> None:
        self.model.smooth(smoothing)
        self.redraw()

    def watch_log_y(self, log_y: bool) -> None:
        self.model.log_y = log_y
        self.model.forget_range()
        self.redraw()

    def watch_x_axis(self, x_axis: XAxis) -> None:
        self.model.x_axis = x_axis
        self.model.view = Viewport(None, self.model.view.y)
        self.redraw()

    def watch_unit(self, unit: Unit) -> None:
        self.model.unit = unit
        self.model.forget_range()
        self.redraw()

    def watch_glyphs(self) -> None:
        self.redraw()
