"""Milliseconds to draw the loss chart of long runs: one of its own, its smoothed curve, and one laid over it.

python tests/bench/chart.py --points 1000 100000
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from femtotui.chart.chart_model import ChartModel, Overlay
from femtotui.chart.render import compose
from femtotui.chart.series import LossSeries

ROWS, COLUMNS = 14, 116


def long_run(points: int) -> ChartModel:
    """A falling, noisy curve, with another run over it."""
    steps = np.arange(1, points + 1)
    losses = 1.3 + 4.2 * np.exp(-steps / 40) + 0.05 * np.random.default_rng(0).normal(size=points)
    chart = ChartModel()
    chart.series.extend(steps, losses, 0.017 * steps)
    chart.set_overlays([Overlay("other", "other", LossSeries.of(steps, losses + 0.1, 0.017 * steps))])
    return chart


def draw(chart: ChartModel) -> float:
    """Milliseconds for one frame."""
    began = time.perf_counter()
    picture = chart.frame()
    assert picture is not None
    compose(picture, ROWS, COLUMNS)
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--frames", type=int, default=50)
    chosen = parser.parse_args()
    for points in chosen.points:
        chart = long_run(points)
        times = [draw(chart) for _ in range(chosen.frames)]
        print(f"{points:>9,} points: {statistics.median(times):.2f} ms, at least {min(times):.2f}")


if __name__ == "__main__":
    main()
