"""The loss chart's numbers: appending, averaging, and ranges that show what matters."""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from femtotui.chart.series import LossSeries, Smoother, newest_finite, settle, x_range, y_range

NOTHING = np.empty(0)


def slow_average(values: list[float], steps: list[int], beta: float) -> list[float]:
    averages = []
    for n, (value, step) in enumerate(zip(values, steps, strict=True)):
        before = [(v, s) for v, s in zip(values[: n + 1], steps, strict=False) if math.isfinite(v)]
        weights = [beta ** (step - s) for _, s in before]
        total = math.fsum(weight * v for weight, (v, _) in zip(weights, before, strict=True))
        averages.append(total / math.fsum(weights) if math.isfinite(value) else math.nan)
    return averages


@given(
    st.lists(
        st.tuples(
            st.one_of(st.floats(-1e3, 1e3), st.just(math.nan), st.just(math.inf)),
            st.sampled_from([1, 1, 1, 7, 60]),
        ),
        max_size=120,
    ),
    st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999]),
    st.integers(0, 120),
)
def test_the_average_is_the_same_in_pieces_and_by_the_book(
    points: list[tuple[float, int]], beta: float, cut: int
) -> None:
    """Whatever steps are missing: an average over a hundred steps is one, in a sweep's few points, too."""
    smoother, values = Smoother(beta), [value for value, _ in points]
    steps = list(accumulate((gap for _, gap in points), initial=0))[1:]
    pieces = [
        smoother.extend(np.array(values[part], dtype=float), np.array(steps[part], dtype=float))
        for part in (slice(cut), slice(cut, None))
    ]
    expected = slow_average(values, steps, beta)
    np.testing.assert_allclose(np.concatenate(pieces), expected, rtol=1e-9, atol=1e-9)


def test_appending_grows_past_any_capacity() -> None:
    series = LossSeries(0.9)
    for start in range(0, 5000, 7):
        steps = np.arange(start, min(start + 7, 5000))
        series.extend(steps, steps / 10, steps * 2.0)
    np.testing.assert_array_equal(series.steps, np.arange(5000))
    np.testing.assert_array_equal(series.losses, np.arange(5000) / 10)
    np.testing.assert_array_equal(series.elapsed_s, np.arange(5000) * 2.0)
    assert series.smoothed.size == len(series) == 5000


def test_an_earlier_step_takes_the_run_back() -> None:
    series, straight = LossSeries(0.9), LossSeries(0.9)
    series.extend([1, 2, 3, 4], [9.0, 8.0, 1.0, 1.0])
    series.extend([3, 4], [7.0, 6.0])
    straight.extend([1, 2, 3, 4], [9.0, 8.0, 7.0, 6.0])
    np.testing.assert_array_equal(series.losses, straight.losses)
    np.testing.assert_allclose(series.smoothed, straight.smoothed)


def test_points_without_a_step_are_left_out_and_mismatches_refused() -> None:
    series = LossSeries(0.9)
    series.extend([1, math.nan, 3], [1.0, 2.0, 3.0])
    assert series.steps.tolist() == [1, 3]
    with pytest.raises(ValueError, match="2 steps for 1 losses"):
        series.extend([1, 2], [1.0])


def test_smoothing_again_is_smoothing_from_the_start() -> None:
    series, straight = LossSeries(0.9), LossSeries(0.5)
    for one in (series, straight):
        one.extend(np.arange(50), np.sin(np.arange(50)))
    series.smooth(0.5)
    np.testing.assert_allclose(series.smoothed, straight.smoothed)


def test_times_of_steps_go_on_at_the_average_pace() -> None:
    series = LossSeries(0.9)
    series.extend([10, 20], [1.0, 1.0], [5.0, 10.0])
    assert series.times_of(np.array([15.0, 40.0])).tolist() == [7.5, 20.0]
    assert np.isnan(LossSeries(0.9).times_of(np.array([1.0]))).all()


def test_the_newest_finite_value() -> None:
    assert newest_finite(np.array([1.0, 2.0, np.nan])) == 2.0
    assert math.isnan(newest_finite(np.array([np.nan])))


def falling(n: int) -> NDArray[np.float64]:
    steps = np.arange(n)
    return 1.3 + 4.2 * np.exp(-steps / 40) + 0.02 * np.random.default_rng(0).standard_normal(n)


def test_the_first_losses_do_not_squeeze_the_rest() -> None:
    low, high = y_range(falling(2000), falling(2000), NOTHING, NOTHING) or (0, 0)
    assert low < 1.3
    assert high < 1.6


def test_early_on_all_there_is_is_shown() -> None:
    loss = falling(20)
    low, high = y_range(loss, loss, NOTHING, NOTHING) or (0, 0)
    assert low <= loss.min() + 0.01
    assert high == loss.max()


def test_a_loss_that_runs_away_stays_in_sight() -> None:
    loss = np.concatenate([falling(2000), np.linspace(1.3, 8, 30)])
    _, high = y_range(loss, loss, NOTHING, NOTHING) or (0, 0)
    assert high == 8


def test_a_floor_is_taken_in_when_it_is_near_and_left_out_when_not() -> None:
    loss = falling(2000)
    low, high = y_range(loss, loss, NOTHING, np.array([1.2, 5.5])) or (0, 0)
    assert low == 1.2
    assert high < 5
    far, _ = y_range(loss, loss, NOTHING, np.array([0.1])) or (0, 0)
    assert far > 1


def test_ranges_of_nothing_and_of_one_value() -> None:
    assert y_range(np.full(3, np.nan), np.full(3, np.nan), NOTHING, NOTHING) is None
    low, high = y_range(np.array([2.0]), np.array([2.0]), NOTHING, NOTHING) or (0, 0)
    assert low < 2.0 < high


def test_an_axis_rests_until_it_must_move() -> None:
    current = settle((1.0, 2.0), None)
    assert settle((1.02, 2.0), current) == current
    assert settle((1.0, 2.5), current) != current
    assert settle((1.0, 1.2), current) != current


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_the_x_axis_ends_a_little_beyond_what_it_shows(newest: float, ahead: float) -> None:
    low, high = x_range(newest, ahead)
    assert low == 0
    assert max(newest, ahead) * (1 - 1e-6) <= high <= max(1.3 * max(newest, ahead), 1.1e-3)
