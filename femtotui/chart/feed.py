"""Keeps the loss chart in step with a run: adds what is new, or draws all of it when another run is shown."""

from __future__ import annotations

from femtotui.presets import Preset

from ..runs.state import RunState
from .loss_chart import LossChart


class ChartFeed:
    """What of which run the chart has been given."""

    def __init__(self, chart: LossChart) -> None:
        self._chart = chart
        self._view: RunState | None = None
        self._rewritten = -1
        self._points = 0
        self._evals = 0

    def feed(self, view: RunState, preset: Preset | None) -> None:
        """Bring the chart up to date with a run."""
        if view is not self._view or view.rewritten != self._rewritten:
            self._start_over(view, preset)
        if len(view.steps) > self._points:
            new = slice(self._points, None)
            self._chart.add_points(view.steps[new], view.losses[new], view.seconds[new])
            self._points = len(view.steps)
        for step, val_loss in view.evals[self._evals :]:
            self._chart.add_validation(step, val_loss)
        self._evals = len(view.evals)

    def _start_over(self, view: RunState, preset: Preset | None) -> None:
        self._view, self._rewritten = view, view.rewritten
        self._points = self._evals = 0
        self._chart.clear()
        self._chart.set_baselines(_baselines(view, preset))
        if view.started is not None:
            self._chart.set_bytes_per_token(view.started.bytes_per_token)
        if preset is None or preset.journal is None:
            self._chart.clear_goal()
        else:
            record = preset.journal
            self._chart.set_goal(record.step, record.loss, f"journal #{record.entry}")


def _baselines(view: RunState, preset: Preset | None) -> list[tuple[str, float]]:
    lines: list[tuple[str, float]] = []
    if view.started is not None:
        known = view.started.baselines
        lines += [("ln V", known.uniform), ("unigram", known.unigram), ("bigram", known.bigram)]
        lines += [("floor", known.floor)] if known.floor is not None else []
    if preset is not None and preset.peer is not None:
        lines.append((preset.peer.name, preset.peer.val_loss))
    return lines
