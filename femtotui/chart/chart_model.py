"""What a loss chart knows and how it is looked at, turned into a picture: no widget, no terminal.

Losses come in nats a token and are kept so; bits a byte is a way to look at them, so that runs with
different tokenizers compare.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..runs.state import RunState
from ..text.safe import narrow_line
from .braille import Window
from .frame_data import MAX_OVERLAYS, Curve, Floats, FrameData, Ink, Level, XAxis, plotted_one
from .glyphs import BRAILLE, Glyphs
from .labels import legend, modes, reading_legend
from .series import GrowingArray, LossSeries, newest_finite, settle, x_range, y_range
from .viewport import Range, Viewport

Unit = Literal["nats", "bits"]
SMOOTHINGS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
NAME_WIDTH = 16


@dataclass(frozen=True)
class Overlay:
    """Another run to compare with. Losses in nats a token, `bytes_per_token` of its own tokenizer.

    Where that is unknown (None), the run has no place on an axis of bits a byte.
    """

    key: str
    name: str
    steps: Floats
    losses: Floats
    elapsed_s: Floats
    bytes_per_token: float | None = 1.0


def state_overlay(name: str, state: RunState) -> Overlay:
    """The curve of a run, named by `name`."""
    is_byte = state.config.tokenizer.kind == "byte"
    return Overlay(
        key=name,
        name=name,
        steps=np.array(state.steps, np.float64),
        losses=np.array(state.losses, np.float64),
        elapsed_s=np.array(state.seconds, np.float64),
        bytes_per_token=state.started.bytes_per_token if state.started else 1.0 if is_byte else None,
    )


@dataclass(frozen=True)
class CursorReading:
    """What the curves say where the cursor stands; NaN where they say nothing. In the unit on show."""

    step: float
    elapsed_s: float
    raw: float
    smoothed: float
    validation: float
    others: tuple[tuple[str, float], ...]


class ChartModel:
    """The run on show, its baselines, the runs laid over it, and the settings of the eye."""

    def __init__(self, smoothing: float = 0.9) -> None:
        self.smoothing = smoothing
        self.log_y = False
        self.x_axis: XAxis = "steps"
        self.unit: Unit = "nats"
        self.view = Viewport()
        self.cursor_step: float | None = None
        self.bytes_per_token: float | None = 1.0
        self.series = LossSeries(smoothing)
        self.goal: tuple[float, float, str] | None = None
        self._baselines: tuple[tuple[str, float], ...] = ()
        self._validation_steps, self._validation_losses = GrowingArray(), GrowingArray()
        self._overlays: tuple[tuple[Overlay, LossSeries], ...] = ()
        self._settled: Range | None = None

    # -- data ------------------------------------------------------------------------------------------

    def add_validation(self, step: int, loss: float) -> None:
        """Append one measurement; a step that was there before takes its place again."""
        keep = int(np.searchsorted(self._validation_steps.values, step, "left"))
        for column, value in ((self._validation_steps, step), (self._validation_losses, loss)):
            column.truncate(keep)
            column.extend(np.array([value], dtype=np.float64))

    def set_baselines(self, baselines: Sequence[tuple[str, float]]) -> None:
        """Named levels; values that are not finite are left out."""
        self._baselines = tuple(
            (narrow_line(name, NAME_WIDTH), float(value)) for name, value in baselines if math.isfinite(value)
        )

    def set_overlays(self, overlays: Sequence[Overlay]) -> None:
        """Lay other runs over this one; no more than there are colours for."""
        self._overlays = tuple((overlay, self._series_of(overlay)) for overlay in overlays[:MAX_OVERLAYS])

    def _series_of(self, overlay: Overlay) -> LossSeries:
        series = LossSeries(self.smoothing)
        series.extend(overlay.steps, overlay.losses, overlay.elapsed_s)
        return series

    def clear(self) -> None:
        """Forget the run on show; the overlays stay."""
        self.series.clear()
        self._validation_steps.truncate(0)
        self._validation_losses.truncate(0)
        self._baselines, self.goal, self._settled = (), None, None
        self.view, self.cursor_step = Viewport(), None

    def smooth(self, beta: float) -> None:
        """Average over more or fewer steps."""
        self.smoothing = beta
        for series in (self.series, *(series for _, series in self._overlays)):
            series.smooth(beta)

    def forget_range(self) -> None:
        """Choose the y axis anew: its scale has changed."""
        self._settled = None
        self.view = Viewport(self.view.x, None)

    # -- units -----------------------------------------------------------------------------------------

    def _scale(self, bytes_per_token: float | None) -> float:
        """What nats a token are multiplied with; NaN if nobody knows."""
        if self.unit == "nats":
            return 1.0
        return math.nan if bytes_per_token is None else 1 / (math.log(2) * bytes_per_token)

    @property
    def scale(self) -> float:
        """The same for the run on show."""
        return self._scale(self.bytes_per_token)

    @property
    def by_time(self) -> bool:
        first = self._overlays[0][1] if self._overlays and not len(self.series) else self.series
        return self.x_axis == "time" and first.has_times

    def _x_of(self, series: LossSeries) -> Floats:
        return series.elapsed_s if self.by_time else series.steps

    # -- the window ------------------------------------------------------------------------------------

    @property
    def whole_x(self) -> Range:
        """All of x that there is to see."""
        newest = [newest_finite(self._x_of(series)) for _, series in self._overlays]
        newest += [newest_finite(self._x_of(self.series)), newest_finite(self._validation_x())]
        goal = self._goal_point()
        ahead = goal[0] if goal is not None and math.isfinite(goal[0]) else 0.0
        return x_range(max((x for x in newest if math.isfinite(x)), default=0.0), ahead)

    @property
    def seen_x(self) -> Range:
        return self.view.x or self.whole_x

    def _validation_x(self) -> Floats:
        steps = self._validation_steps.values
        return self.series.times_of(steps) if self.by_time else steps

    def _goal_point(self) -> tuple[float, float] | None:
        if self.goal is None:
            return None
        step, loss, _ = self.goal
        x = float(self.series.times_of(np.array([step]))[0]) if self.by_time else step
        return x, loss * self.scale

    def _y_of_interest(self) -> Range:
        """Losses worth a place, in the unit on show: what is in sight, and lines close to it."""
        low, high = self.seen_x
        near = [value * self.scale for _, value in self._baselines]
        near += [self.goal[1] * self.scale] if self.goal else []
        shown = [_between(self._x_of(self.series), self.series, low, high, self.scale)]
        extras = [_part(self._validation_x(), self._validation_losses.values, low, high) * self.scale]
        for overlay, series in self._overlays:
            raw, smoothed = _between(
                self._x_of(series), series, low, high, self._scale(overlay.bytes_per_token)
            )
            shown.append((raw[:0], smoothed))
        raw_K = np.concatenate([raw for raw, _ in shown])
        smoothed_K = np.concatenate([smoothed for _, smoothed in reversed(shown)])
        arrays = raw_K if raw_K.size else smoothed_K, smoothed_K, np.concatenate(extras), np.array(near)
        if self.log_y:
            arrays = tuple(np.where(values > 0, values, np.nan) for values in arrays)  # type: ignore[assignment]
        wanted = y_range(*arrays)
        if wanted is None:
            return (0.1, 1.0) if self.log_y else (0.0, 1.0)
        self._settled = settled = settle(wanted, self._settled)
        if self.log_y and settled[0] <= 0:
            return max(wanted[0], wanted[1] * 1e-3), settled[1]
        return settled

    @property
    def whole_y(self) -> Range:
        """The y range that is chosen where nobody zooms, in the plane that is drawn."""
        low, high = self._y_of_interest()
        return plotted_one(low, self.log_y), plotted_one(high, self.log_y)

    def _window(self) -> Window:
        low, high = self.view.y or self.whole_y
        if self.log_y:
            low, high = 10**low, 10**high
        return Window(*self.seen_x, low, high)

    # -- the cursor ------------------------------------------------------------------------------------

    def move_cursor(self, by: float) -> None:
        """Move by `by` of x, but to another point at least; from nowhere, it appears at the newest one."""
        x_K = self._x_of(self.series)
        if not len(self.series):
            return
        if self.cursor_step is None:
            self.cursor_step = float(self.series.steps[-1])
            return
        index = self._nearest(self.cursor_step)
        wanted = _nearest_index(x_K, float(x_K[index]) + by)
        if wanted == index:
            wanted = min(max(index + (1 if by > 0 else -1), 0), len(self.series) - 1)
        self.cursor_step = float(self.series.steps[wanted])
        self.view = self.view.holding(float(x_K[wanted]), self.whole_x)

    def point_at(self, x: float) -> None:
        """Put the cursor on the point nearest to `x`."""
        if len(self.series):
            self.cursor_step = float(self.series.steps[_nearest_index(self._x_of(self.series), x)])

    def _nearest(self, step: float) -> int:
        return _nearest_index(self.series.steps, step)

    @property
    def cursor_x(self) -> float | None:
        if self.cursor_step is None or not len(self.series):
            return None
        return float(self._x_of(self.series)[self._nearest(self.cursor_step)])

    def reading(self) -> CursorReading | None:
        """What there is to read at the cursor."""
        x = self.cursor_x
        if x is None or self.cursor_step is None:
            return None
        index = self._nearest(self.cursor_step)
        series, scale = self.series, self.scale
        others = tuple(
            (
                overlay.name,
                _value_at(self._x_of(other), other.smoothed, x) * self._scale(overlay.bytes_per_token),
            )
            for overlay, other in self._overlays
        )
        validation = _last_before(
            self._validation_steps.values, self._validation_losses.values, self.cursor_step
        )
        return CursorReading(
            step=float(series.steps[index]),
            elapsed_s=float(series.elapsed_s[index]),
            raw=float(series.losses[index]) * scale,
            smoothed=float(series.smoothed[index]) * scale,
            validation=validation * scale,
            others=others,
        )

    # -- the picture -----------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        return not len(self.series) and not len(self._validation_steps) and not self._overlays

    @property
    def latest_smoothed(self) -> float:
        """The newest point of the smoothed curve in nats a token, NaN before there is one."""
        return newest_finite(self.series.smoothed)

    def picture(self, glyphs: Glyphs = BRAILLE) -> FrameData | None:
        """All that a frame shows; None before the first point."""
        if self.is_empty:
            return None
        scale, newest = self.scale, self.latest_smoothed * self.scale
        reading = self.reading()
        goal = self._goal_point()
        picture = FrameData(
            x_K=self._x_of(self.series),
            raw_K=_scaled(self.series.losses, scale),
            smoothed_K=_scaled(self.series.smoothed, scale),
            validation_x_K=self._validation_x(),
            validation_y_K=_scaled(self._validation_losses.values, scale),
            window=self._window(),
            x_axis="time" if self.by_time else "steps",
            log_y=self.log_y,
            levels=tuple(
                Level(f"{name} {value * scale:.3f}", value * scale) for name, value in self._baselines
            ),
            newest=Level(f"{newest:.4f}", newest) if math.isfinite(newest) else None,
            goal=goal,
            legend=(),
            modes=modes(self),
            overlays=self._curves(),
            cursor=self.cursor_x,
            glyphs=glyphs,
        )
        words = legend(picture, self.goal) if reading is None else reading_legend(reading, picture)
        return replace(picture, legend=words)

    def _curves(self) -> tuple[Curve, ...]:
        return tuple(
            Curve(
                self._x_of(series),
                _scaled(series.smoothed, self._scale(overlay.bytes_per_token)),
                narrow_line(overlay.name, NAME_WIDTH),
                Ink(Ink.OTHER_1 + number),
            )
            for number, (overlay, series) in enumerate(self._overlays)
        )


def _scaled(values_K: Floats, scale: float) -> Floats:
    return values_K if scale == 1.0 else values_K * scale


def _part(x_K: Floats, y_K: Floats, low: float, high: float) -> Floats:
    return y_K[int(np.searchsorted(x_K, low, "left")) : int(np.searchsorted(x_K, high, "right"))]


def _between(x_K: Floats, series: LossSeries, low: float, high: float, scale: float) -> tuple[Floats, Floats]:
    raw, smoothed = _part(x_K, series.losses, low, high), _part(x_K, series.smoothed, low, high)
    return _scaled(raw, scale), _scaled(smoothed, scale)


def _nearest_index(x_K: Floats, x: float) -> int:
    right = int(np.clip(np.searchsorted(x_K, x), 0, len(x_K) - 1))
    left = max(right - 1, 0)
    return left if abs(x - x_K[left]) <= abs(x_K[right] - x) else right


def _value_at(x_K: Floats, y_K: Floats, x: float) -> float:
    """The curve at the point nearest to `x`; NaN beyond its ends."""
    if not len(x_K) or not x_K[0] <= x <= x_K[-1]:
        return math.nan
    return float(y_K[_nearest_index(x_K, x)])


def _last_before(x_K: Floats, y_K: Floats, x: float) -> float:
    index = int(np.searchsorted(x_K, x, "right")) - 1
    return float(y_K[index]) if index >= 0 else math.nan
