"""Milliseconds to draw the loss chart of a long run, its smoothed curve, and another run over it.

python tests/bench/chart.py --points 1000 100000
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np
from harness import options, positive, seconds_of

from femtotui.chart.chart_model import ChartModel, Overlay
from femtotui.chart.render import compose
from femtotui.chart.series import LossSeries

ROWS, COLUMNS = 14, 116


def long_run(points: int) -> Callable[[], object]:
    """Draws a falling, noisy curve, with another run over it."""
    steps = np.arange(1, points + 1)
    losses = 1.3 + 4.2 * np.exp(-steps / 40) + 0.05 * np.random.default_rng(0).normal(size=points)
    chart = ChartModel()
    chart.series.extend(steps, losses, 0.017 * steps)
    chart.set_overlays([Overlay("other", "other", LossSeries.of(steps, losses + 0.1, 0.017 * steps))])
    return lambda: compose(chart.frame(), ROWS, COLUMNS)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--points", type=positive, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--frames", type=positive, default=50)
    asked = parser.parse_args()
    for points in asked.points:
        draw = long_run(points)
        times = [1e3 * seconds_of(draw) for _ in range(asked.frames)]
        print(f"{points:>9,} points: median {statistics.median(times):.2f} ms, least {min(times):.2f}")


if __name__ == "__main__":
    main()
