"""The loss chart: training loss, raw and smoothed, validation, baselines and the journal's end point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from ..braille import Window
from ..cell_grid import CellGrid
from ..chart_frame import compose, compose_message
from ..chart_picture import Ink, LegendItem, Level, Picture, XAxis
from ..loss_series import Floats, GrowingArray, LossSeries, newest_finite, settle, x_range, y_range
from ..safe_text import narrow_line

SMOOTHINGS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
EMPTY_TEXT = "waiting for the first step…"
_NAME_WIDTH = 16


class LossChart(Widget, can_focus=True):
    """A live chart of losses, drawn in braille, in the colours of the theme.

    Data comes in through methods; each call only notes that the picture is stale, and one frame is
    composed for all calls since the last. Only rows that changed are painted again.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"loss-chart--{ink.name.lower()}" for ink in Ink}
    DEFAULT_CSS = """
    LossChart {
        height: 1fr;
        min-height: 3;
        border: round $foreground 25%;
        border-title-color: $text-muted;
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
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "toggle_log_y", "Log y", tooltip="Linear or logarithmic loss axis"),
        Binding("x", "toggle_x_axis", "Steps/time", tooltip="Steps or training time along the x axis"),
        Binding("plus", "smooth(1)", "Smoother", tooltip="Average over more steps"),
        Binding("minus", "smooth(-1)", "Rougher", tooltip="Average over fewer steps"),
    ]

    smoothing: reactive[float] = reactive(0.9, init=False)
    log_y: reactive[bool] = reactive(False, init=False)
    x_axis: reactive[XAxis] = reactive("steps", init=False)

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
        self._series = LossSeries(self.smoothing)
        self._validation_steps, self._validation_losses = GrowingArray(), GrowingArray()
        self._baselines: tuple[Level, ...] = ()
        self._goal: tuple[float, float, str] | None = None
        self._y_range: tuple[float, float] | None = None
        self._grid = CellGrid.blank(0, 0)
        self._styles: list[Style] = []
        self._stale = True
        self._scheduled = False

    # What is shown

    def add_points(self, steps: ArrayLike, losses: ArrayLike, elapsed_s: ArrayLike | None = None) -> None:
        """Append training losses. `elapsed_s` (seconds of training) is what the time axis goes by.

        A step that was there before takes its place again, and what came after it goes.
        """
        self._series.extend(steps, losses, elapsed_s)
        self._changed()

    def add_validation(self, step: int, loss: float) -> None:
        """Append one measurement on text that is never trained on."""
        keep = int(np.searchsorted(self._validation_steps.values, step, "left"))
        for column, value in ((self._validation_steps, step), (self._validation_losses, loss)):
            column.truncate(keep)
            column.extend(np.array([value], dtype=np.float64))
        self._changed()

    def set_baselines(self, baselines: Sequence[tuple[str, float]]) -> None:
        """Draw a faint line at each value and name it; values that are not finite are left out."""
        self._baselines = tuple(
            Level(f"{narrow_line(name, _NAME_WIDTH)} {value:.3f}", float(value))
            for name, value in baselines
            if math.isfinite(value)
        )
        self._changed()

    def set_goal(self, step: int, loss: float, label: str) -> None:
        """Mark the point that an earlier run ended at."""
        self._goal = (float(step), float(loss), narrow_line(label, _NAME_WIDTH))
        self._changed()

    def clear_goal(self) -> None:
        """Take the goal away."""
        self._goal = None
        self._changed()

    def clear(self) -> None:
        """Forget points, validation, baselines and goal: for another run."""
        self._series.clear()
        self._validation_steps.truncate(0)
        self._validation_losses.truncate(0)
        self._baselines, self._goal, self._y_range = (), None, None
        self._changed()

    @property
    def latest_smoothed(self) -> float:
        """The newest point of the smoothed curve, NaN before there is one."""
        return newest_finite(self._series.smoothed)

    # Keys

    def action_toggle_log_y(self) -> None:
        """Switch between a linear and a logarithmic loss axis."""
        self.log_y = not self.log_y

    def action_toggle_x_axis(self) -> None:
        """Switch between steps and training time."""
        self.x_axis = "time" if self.x_axis == "steps" else "steps"

    def action_smooth(self, direction: int) -> None:
        """Go to the next stronger (1) or weaker (-1) smoothing."""
        nearest = min(range(len(SMOOTHINGS)), key=lambda index: abs(SMOOTHINGS[index] - self.smoothing))
        self.smoothing = SMOOTHINGS[min(max(nearest + direction, 0), len(SMOOTHINGS) - 1)]

    def validate_smoothing(self, smoothing: float) -> float:
        return min(max(smoothing, SMOOTHINGS[0]), SMOOTHINGS[-1]) if math.isfinite(smoothing) else 0.0

    def watch_smoothing(self, smoothing: float) -> None:
        self._series.smooth(smoothing)
        self._changed()

    def watch_log_y(self) -> None:
        self._y_range = None
        self._changed()

    def watch_x_axis(self) -> None:
        self._changed()

    # Drawing

    def _changed(self) -> None:
        """The picture is stale: compose one frame once everything that is waiting has been taken in."""
        self._stale = True
        if self.is_mounted and not self._scheduled:
            self._scheduled = True
            self.call_later(self._repaint)

    def _repaint(self) -> None:
        self._scheduled = False
        if not self._stale or not self.is_on_screen:
            return  # out of sight: `render_line` composes when it is seen again
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
        """One row of the frame; composes it if it is stale or of another size."""
        size = self.content_size
        if self._stale or self._grid.codes_HW.shape != (size.height, size.width):
            self._compose_grid(size)
        if not self._styles:
            self._styles = [self.get_component_rich_style(f"loss-chart--{ink.name.lower()}") for ink in Ink]
        if not 0 <= y < self._grid.height:
            return Strip.blank(size.width, self.rich_style)
        return self._grid.strip(y, self._styles)

    def notify_style_update(self) -> None:
        """Read the theme's colours again."""
        self._styles = []
        super().notify_style_update()

    def _compose_grid(self, size: Size) -> None:
        self._stale = False
        picture = self._picture()
        if picture is None:
            self._grid = compose_message(EMPTY_TEXT, size.height, size.width)
        else:
            self._grid = compose(picture, size.height, size.width)

    def _picture(self) -> Picture | None:
        """What there is to see; None before the first point."""
        series = self._series
        steps, losses = self._validation_steps.values, self._validation_losses.values
        if not len(series) and not steps.size:
            return None
        by_time = self.x_axis == "time" and series.has_times
        goal = self._goal_point(by_time)
        x_K = series.elapsed_s if by_time else series.steps
        validation_x_K = series.times_of(steps) if by_time else steps
        x_low, x_high = x_range(
            max(newest_finite(x_K), newest_finite(validation_x_K), key=_or_least),
            goal[0] if goal and math.isfinite(goal[0]) else 0.0,
        )
        y_low, y_high = self._settled_y_range()
        return Picture(
            x_K=x_K,
            raw_K=series.losses,
            smoothed_K=series.smoothed,
            validation_x_K=validation_x_K,
            validation_y_K=losses,
            window=Window(x_low, x_high, y_low, y_high),
            x_axis="time" if by_time else "steps",
            log_y=self.log_y,
            levels=self._baselines,
            newest=self._newest_level(),
            goal=goal,
            legend=self._legend(),
            modes=self._modes(by_time),
        )

    def _goal_point(self, by_time: bool) -> tuple[float, float] | None:
        if self._goal is None:
            return None
        step, loss, _ = self._goal
        x = float(self._series.times_of(np.array([step]))[0]) if by_time else step
        return x, loss

    def _settled_y_range(self) -> tuple[float, float]:
        near = np.array([level.value for level in self._baselines] + ([self._goal[1]] if self._goal else []))
        wanted = self._wanted_y_range(near)
        if wanted is None:
            return 0.0, 1.0
        self._y_range = settle(wanted, self._y_range)
        if self.log_y and self._y_range[0] <= 0:
            return max(wanted[0], wanted[1] * 1e-3), self._y_range[1]
        return self._y_range

    def _wanted_y_range(self, near: Floats) -> tuple[float, float] | None:
        series, losses = self._series, self._validation_losses.values
        if not self.log_y:
            return y_range(series.losses, series.smoothed, losses, near)
        raw, smoothed, extras = (
            np.where(values > 0, values, np.nan) for values in (series.losses, series.smoothed, losses)
        )
        return y_range(raw, smoothed, extras, near[near > 0])

    def _newest_level(self) -> Level | None:
        value = self.latest_smoothed
        return Level(f"{value:.4f}", value) if math.isfinite(value) else None

    def _legend(self) -> tuple[LegendItem, ...]:
        items = [
            LegendItem("━━", f"smoothed {self.latest_smoothed:.4f}", Ink.SMOOTHED, rank=1),
            LegendItem("━━", f"loss {newest_finite(self._series.losses):.4f}", Ink.RAW, rank=4),
        ]
        bad = int(np.count_nonzero(~np.isfinite(self._series.losses)))
        if bad:
            items.insert(0, LegendItem("!", f"{bad} not a number", Ink.WARNING))
        validation = newest_finite(self._validation_losses.values)
        if math.isfinite(validation):
            items.append(LegendItem("•", f"validation {validation:.4f}", Ink.VALIDATION, rank=3))
        if self._goal is not None:
            step, loss, label = self._goal
            items.append(LegendItem("◆", f"{label} {loss:.4f} at {step:,.0f}", Ink.GOAL, rank=2))
        return tuple(items)

    def _modes(self, by_time: bool) -> str:
        modes = [
            "log y" if self.log_y else "",
            "time" if by_time else "steps",
            f"smoothing {self.smoothing:g}",
        ]
        return " · ".join(mode for mode in modes if mode)


def _or_least(value: float) -> float:
    return value if math.isfinite(value) else -math.inf
