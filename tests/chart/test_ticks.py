"""Ticks are round, in range, few, and their labels line up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from femtotui.chart.ticks import (
    Tick,
    duration_label,
    linear_ticks,
    log_ticks,
    nice_ceiling,
    nice_step,
    time_ticks,
)

RANGES = st.tuples(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)
POSITIVE_RANGES = st.tuples(st.floats(1e-9, 1e9), st.floats(1.01, 1e9)).map(lambda p: (p[0], p[0] * p[1]))


def labels(ticks: tuple[Tick, ...]) -> list[str]:
    return [tick.label.strip() for tick in ticks]


def assert_sound(ticks: tuple[Tick, ...], low: float, high: float, most: int) -> None:
    slack = 1e-6 * (high - low) + 4 * math.ulp(max(abs(low), abs(high)))  # no number lies between floats
    values = [tick.value for tick in ticks]
    assert len(values) <= most
    assert values == sorted(set(values))
    assert all(low - slack <= value <= high + slack for value in values)
    assert len({len(tick.label) for tick in ticks}) <= 1


@given(RANGES, st.integers(1, 12), st.booleans())
def test_linear_ticks_are_sound(limits: tuple[float, float], most: int, whole: bool) -> None:
    assert_sound(linear_ticks(*limits, most, whole=whole), *limits, most)


@given(RANGES, st.integers(1, 12))
def test_time_ticks_are_sound(limits: tuple[float, float], most: int) -> None:
    assert_sound(time_ticks(*limits, most), *limits, most)


@given(POSITIVE_RANGES, st.integers(1, 12))
def test_log_ticks_are_sound(limits: tuple[float, float], most: int) -> None:
    assert_sound(log_ticks(*limits, most), *limits, most)


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 4000, 6, ["0", "1000", "2000", "3000", "4000"]),
        (1.2, 1.6, 5, ["1.2", "1.3", "1.4", "1.5", "1.6"]),
        (0, 100_000, 6, ["0", "20k", "40k", "60k", "80k", "100k"]),
        (0, 1e7, 5, ["0.0", "2.5M", "5.0M", "7.5M", "10.0M"]),
    ],
)
def test_linear_labels(low: float, high: float, most: int, expected: list[str]) -> None:
    assert labels(linear_ticks(low, high, most)) == expected


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (1.2, 6, 6, ["1.5", "2.0", "3.0", "4.0", "5.0"]),
        (0.01, 100, 4, ["0.01", "1", "100"]),
        (1.2, 1.6, 5, ["1.2", "1.3", "1.4", "1.5", "1.6"]),
    ],
)
def test_log_labels(low: float, high: float, most: int, expected: list[str]) -> None:
    assert labels(log_ticks(low, high, most)) == expected


@pytest.mark.parametrize(
    ("high", "expected"),
    [
        (20, ["0s", "5s", "10s", "15s", "20s"]),
        (100, ["0s", "30s", "1m", "1m30"]),
        (5000, ["0s", "15m", "30m", "45m", "1h", "1h15"]),
        (400_000, ["0s", "1d", "2d", "3d", "4d"]),
    ],
)
def test_time_labels(high: float, expected: list[str]) -> None:
    assert labels(time_ticks(0, high, 6)) == expected


def test_whole_ticks_have_no_fractions() -> None:
    assert labels(linear_ticks(0, 3, 12, whole=True)) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("limits", [(1, 1), (2, 1), (math.nan, 1), (0, math.inf), (-1e308, 1e308)])
def test_no_ticks_where_there_is_no_axis(limits: tuple[float, float]) -> None:
    assert linear_ticks(*limits, 5) == time_ticks(*limits, 5) == log_ticks(*limits, 5) == ()
    assert linear_ticks(0, 1, 0) == ()
    assert log_ticks(-1, 1, 5) == ()


@given(st.floats(1e-12, 1e12))
def test_round_numbers_are_just_above(value: float) -> None:
    assert value * (1 - 1e-6) <= nice_step(value) <= 2.5 * value
    assert value * (1 - 1e-6) <= nice_ceiling(value) <= 1.4 * value


def test_durations_name_two_units_at_most() -> None:
    assert [duration_label(s) for s in (7, 65, 3600, 5400, 90_000)] == ["7s", "1m05", "1h", "1h30", "1d01h"]
