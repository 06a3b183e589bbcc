"""The data and the view settings of a chart, and the frame to draw; without widget and terminal.

Losses are kept in nats per token; bits per byte is a view of them, in which runs with different tokenizers
compare.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ..text.safe import narrow_line
from .braille import Window
from .frame_data import MAX_OVERLAYS, CursorReading, Curve, Floats, FrameData, Ink, Level, XAxis, plotted_one
from .glyphs import BRAILLE, Glyphs
from .quantities import LOSS, Quantity
from .series import LossSeries, newest_finite, settle, x_range, y_range
from .viewport import Range, Viewport

Unit = Literal["nats", "bits"]
SMOOTHINGS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
NAME_WIDTH = 16


@dataclass(frozen=True)
class ChartData:
    """The run on a chart: its losses in nats per token, or another `quantity` with nothing beside it.

    `series` is drawn as it is now, so it may grow; where it holds another quantity, `losses` are the run's
    own: the view stays as long as they are the same. `evals` are (step, validation loss), `baselines` named
    levels, `goal` the step, loss and name of the point where an earlier run ended. `bytes_per_token` is None
    where that is unknown.
    """

    series: LossSeries = field(default_factory=LossSeries)
    evals: Sequence[tuple[int, float]] = ()
    baselines: Sequence[tuple[str, float]] = ()
    goal: tuple[float, float, str] | None = None
    bytes_per_token: float | None = 1.0
    quantity: Quantity = LOSS
    losses: LossSeries | None = None


@dataclass(frozen=True)
class Overlay:
    """Another run to compare with. Losses in nats per token of its own tokenizer.

    Without `bytes_per_token`, the run is not drawn on an axis of bits per byte.
    """

    key: str
    name: str
    series: LossSeries
    bytes_per_token: float | None = 1.0


class ChartModel:
    """The run on the chart, the runs laid over it, and the view settings."""

    def __init__(self, smoothing: float = 0.9) -> None:
        self.smoothing = self._usual_smoothing = smoothing
        self.log_y = False
        self.x_axis: XAxis = "steps"
        self.unit: Unit = "nats"
        self.view = Viewport()
        self.cursor_step: float | None = None
        self.data = ChartData()
        self._overlays: tuple[Overlay, ...] = ()
        self._losses = self.data.series
        self._rewritten = 0
        self._settled: Range | None = None
        self._validation_steps = self._validation_losses = np.empty(0)

    # -- data ------------------------------------------------------------------------------------------

    @property
    def series(self) -> LossSeries:
        return self.data.series

    @property
    def overlays(self) -> tuple[Overlay, ...]:
        """The runs laid over this one: their losses."""
        return self._overlays if self.data.quantity is LOSS else ()

    def show(self, data: ChartData) -> None:
        """Show a run. A different run, or one resumed from an earlier step, resets the view."""
        losses = data.losses if data.losses is not None else data.series
        if losses is not self._losses or losses.rewritten != self._rewritten:
            self.view, self.cursor_step, self._settled = Viewport(), None, None
        elif data.quantity is not self.data.quantity:
            self.forget_range()
        self._losses, self._rewritten = losses, losses.rewritten
        baselines = [
            (narrow_line(name, NAME_WIDTH), float(v)) for name, v in data.baselines if math.isfinite(v)
        ]
        goal = (*data.goal[:2], narrow_line(data.goal[2], NAME_WIDTH)) if data.goal is not None else None
        self.data = replace(data, baselines=baselines, goal=goal)
        evals = sorted(dict(data.evals).items())  # of a step evaluated twice, the later one counts
        self._validation_steps, self._validation_losses = np.array(evals, np.float64).reshape(-1, 2).T
        self.series.smooth(self.smoothing)

    def set_overlays(self, overlays: Sequence[Overlay]) -> None:
        """Draw other runs over this one, at most as many as there are colours."""
        self._overlays = tuple(overlays[:MAX_OVERLAYS])
        self.smooth(self.smoothing)

    def smooth(self, beta: float) -> None:
        """Average over more or fewer steps."""
        self.smoothing = beta
        for series in (self.series, *(overlay.series for overlay in self._overlays)):
            series.smooth(beta)

    def forget_range(self) -> None:
        """Choose the y axis again: its scale has changed."""
        self._settled = None
        self.view = Viewport(self.view.x, None)

    # -- units -----------------------------------------------------------------------------------------

    def _scale(self, bytes_per_token: float | None) -> float:
        """The factor from nats per token to the unit shown; NaN if unknown."""
        if self.unit == "nats" or self.data.quantity is not LOSS:
            return 1.0
        return math.nan if bytes_per_token is None else 1 / (math.log(2) * bytes_per_token)

    @property
    def scale(self) -> float:
        return self._scale(self.data.bytes_per_token)

    @property
    def by_time(self) -> bool:
        first = self.overlays[0].series if self.overlays and not len(self.series) else self.series
        return self.x_axis == "time" and first.has_times

    def _x_of(self, series: LossSeries) -> Floats:
        return series.elapsed_s if self.by_time else series.steps

    # -- the window ------------------------------------------------------------------------------------

    @property
    def whole_x(self) -> Range:
        """The x range of everything."""
        newest = [newest_finite(self._x_of(overlay.series)) for overlay in self.overlays]
        newest += [newest_finite(self._x_of(self.series)), newest_finite(self._validation_x())]
        goal = self._goal()
        ahead = goal[0] if goal is not None and math.isfinite(goal[0]) else 0.0
        return x_range(max((x for x in newest if math.isfinite(x)), default=0.0), ahead)

    @property
    def visible_x(self) -> Range:
        return self.view.x or self.whole_x

    def _validation_x(self) -> Floats:
        steps = self._validation_steps
        return self.series.times_of(steps) if self.by_time else steps

    def _goal(self) -> tuple[float, float, str] | None:
        """The goal on the axes shown, and the words about it."""
        if self.data.goal is None:
            return None
        step, loss, name = self.data.goal
        x = float(self.series.times_of(np.array([step]))[0]) if self.by_time else step
        return x, loss * self.scale, f"{name} {loss * self.scale:.4f} at {step:,.0f}"

    def _y_of_interest(self) -> Range:
        """The range of the visible losses and of lines close to them, in the unit shown."""
        low, high = self.visible_x
        near = [value * self.scale for _, value in self.data.baselines]
        near += [self.data.goal[1] * self.scale] if self.data.goal else []
        shown = [_between(self._x_of(self.series), self.series, low, high, self.scale)]
        extras = [_part(self._validation_x(), self._validation_losses, low, high) * self.scale]
        for overlay in self.overlays:
            series, scale = overlay.series, self._scale(overlay.bytes_per_token)
            raw, smoothed = _between(self._x_of(series), series, low, high, scale)
            shown.append((raw[:0], smoothed))
        raw_K = np.concatenate([raw for raw, _ in shown])
        smoothed_K = np.concatenate([smoothed for _, smoothed in reversed(shown)])
        arrays = raw_K if raw_K.size else smoothed_K, smoothed_K, np.concatenate(extras), np.array(near)
        if self.log_y:
            arrays = tuple(np.where(values > 0, values, np.nan) for values in arrays)  # type: ignore[assignment]
        wanted = y_range(*arrays)
        if wanted is None:
            return (0.1, 1.0) if self.log_y else (0.0, 1.0)
        if self.data.quantity.is_exact:
            wanted = min(wanted[0], float(np.nanmin(arrays[0]))), max(wanted[1], float(np.nanmax(arrays[0])))
        self._settled = settled = settle(wanted, self._settled)
        if self.log_y and settled[0] <= 0:
            return max(wanted[0], wanted[1] * 1e-3), settled[1]
        return settled

    @property
    def whole_y(self) -> Range:
        """The y range without zoom, on the drawn axis."""
        low, high = self._y_of_interest()
        return plotted_one(low, self.log_y), plotted_one(high, self.log_y)

    def _window(self) -> Window:
        low, high = self.view.y or self.whole_y
        if self.log_y:
            low, high = 10**low, 10**high
        return Window(*self.visible_x, low, high)

    # -- the cursor ------------------------------------------------------------------------------------

    def move_cursor(self, by: float) -> None:
        """Move by `by` along x, at least to the next point; the first move shows it at the newest point."""
        x_K = self._x_of(self.series)
        if not len(self.series):
            return
        if self.cursor_step is None:
            self.cursor_step = float(self.series.steps[-1])
            return
        index = _nearest_index(self.series.steps, self.cursor_step)
        wanted = _nearest_index(x_K, float(x_K[index]) + by)
        if wanted == index:
            wanted = min(max(index + (1 if by > 0 else -1), 0), len(self.series) - 1)
        self.cursor_step = float(self.series.steps[wanted])
        self.view = self.view.holding(float(x_K[wanted]), self.whole_x)

    def point_at(self, x: float) -> None:
        if len(self.series):
            self.cursor_step = float(self.series.steps[_nearest_index(self._x_of(self.series), x)])

    @property
    def cursor_x(self) -> float | None:
        if self.cursor_step is None or not len(self.series):
            return None
        return float(self._x_of(self.series)[_nearest_index(self.series.steps, self.cursor_step)])

    def reading(self) -> CursorReading | None:
        x = self.cursor_x
        if x is None or self.cursor_step is None:
            return None
        index = _nearest_index(self.series.steps, self.cursor_step)
        series, scale = self.series, self.scale
        others = tuple((curve.name, _value_at(curve.x_K, curve.y_K, x)) for curve in self._curves())
        validation = _last_before(self._validation_steps, self._validation_losses, self.cursor_step)
        return CursorReading(
            step=float(series.steps[index]),
            elapsed_s=float(series.elapsed_s[index]),
            raw=float(series.losses[index]) * scale,
            smoothed=float(series.smoothed[index]) * scale,
            validation=validation * scale,
            others=others,
        )

    # -- the frame -------------------------------------------------------------------------------------

    @property
    def latest_smoothed(self) -> float:
        """The newest point of the smoothed curve in nats per token, NaN before there is one."""
        return newest_finite(self.series.smoothed)

    def frame(self, glyphs: Glyphs = BRAILLE) -> FrameData | None:
        """Everything to draw; None before the first point."""
        if not len(self.series) and not len(self._validation_steps) and not self.overlays:
            return None
        scale, newest, quantity = self.scale, self.latest_smoothed * self.scale, self.data.quantity
        return FrameData(
            x_K=self._x_of(self.series),
            raw_K=_scaled(self.series.losses, scale),
            smoothed_K=_scaled(self.series.smoothed, scale),
            validation_x_K=self._validation_x(),
            validation_y_K=_scaled(self._validation_losses, scale),
            window=self._window(),
            x_axis="time" if self.by_time else "steps",
            log_y=self.log_y,
            levels=tuple(
                Level(f"{name} {value * scale:.3f}", value * scale) for name, value in self.data.baselines
            ),
            newest=Level(quantity.words(newest), newest) if math.isfinite(newest) else None,
            goal=self._goal(),
            settings=self._settings(),
            overlays=self._curves(),
            cursor=self.cursor_x,
            reading=self.reading(),
            glyphs=glyphs,
            quantity=quantity,
        )

    def _settings(self) -> tuple[str, str]:
        """The view settings in words: all of them, and those that differ from the defaults."""
        changed = [
            "" if self.view.is_whole else "zoomed",
            "log y" if self.log_y else "",
            "bits per byte" if self.unit == "bits" and self.data.quantity is LOSS else "",
            "time" if self.by_time else "",
        ]
        smoothing = "" if self.data.quantity.is_exact else f"smoothing {self.smoothing:g}"
        complete = [*changed, "" if self.by_time else "steps", smoothing]
        changed.append(smoothing if self.smoothing != self._usual_smoothing else "")
        return " · ".join(filter(None, complete)), " · ".join(filter(None, changed))

    def _curves(self) -> tuple[Curve, ...]:
        return tuple(
            Curve(
                self._x_of(overlay.series),
                _scaled(overlay.series.smoothed, self._scale(overlay.bytes_per_token)),
                narrow_line(overlay.name, NAME_WIDTH),
                Ink(Ink.OTHER_1 + number),
            )
            for number, overlay in enumerate(self.overlays)
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
