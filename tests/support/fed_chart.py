"""A loss chart whose run a test builds up piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from numpy.typing import ArrayLike

from femtotui.chart.chart_model import ChartData
from femtotui.chart.loss_chart import LossChart


class FedChart(LossChart):
    """Shows what it is given at once."""

    run = ChartData()

    def __init__(self) -> None:
        super().__init__()
        self.run = ChartData()

    def _change(self, **changes: object) -> None:
        self.run = replace(self.run, **changes)  # type: ignore[arg-type]
        self.show(self.run)

    def add_points(self, steps: ArrayLike, losses: ArrayLike, elapsed_s: ArrayLike | None = None) -> None:
        self.run.series.extend(steps, losses, elapsed_s)
        self._change()

    def add_validation(self, step: int, loss: float) -> None:
        self._change(evals=[*self.run.evals, (step, loss)])

    def set_baselines(self, baselines: Sequence[tuple[str, float]]) -> None:
        self._change(baselines=baselines)

    def set_goal(self, step: int, loss: float, name: str) -> None:
        self._change(goal=(step, loss, name))

    def clear_goal(self) -> None:
        self._change(goal=None)

    def clear(self) -> None:
        self.run = ChartData()
        self._change()
