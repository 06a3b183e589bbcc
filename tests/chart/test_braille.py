"""Curves in braille: where the dots are, what a gap looks like, and that many points cost little."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from femtotui.chart.braille import NO_LAYER, Window, curve_bits, dot_row, level_bits, stack
from femtotui.chart.glyphs import BLANK

BITS = {(0, 0): 1, (1, 0): 2, (2, 0): 4, (3, 0): 64, (0, 1): 8, (1, 1): 16, (2, 1): 32, (3, 1): 128}


def dots(bits_HW: NDArray[np.uint8]) -> set[tuple[int, int]]:
    """The dots that are set, as (row, column) from the top left, read the slow and obvious way."""
    return {
        (4 * row + dot_row, 2 * column + dot_column)
        for (row, column), bits in np.ndenumerate(bits_HW)
        for (dot_row, dot_column), bit in BITS.items()
        if bits & bit
    }


def curve(
    x: list[float], y: list[float], window: Window, height: int = 1, width: int = 2
) -> set[tuple[int, int]]:
    return dots(curve_bits(np.array(x, float), np.array(y, float), window, height, width))


def test_a_diagonal_has_one_dot_a_column() -> None:
    assert curve([0, 3], [0, 3], Window(0, 3, 0, 3)) == {(3, 0), (2, 1), (1, 2), (0, 3)}


def test_a_single_point_is_one_dot() -> None:
    assert curve([1], [3], Window(0, 3, 0, 3)) == {(0, 1)}


def test_a_steep_line_is_shared_by_its_two_columns_without_a_hole() -> None:
    assert curve([0, 1], [0, 3], Window(0, 1, 0, 3), 1, 1) == {(3, 0), (2, 0), (1, 1), (0, 1)}


def test_a_spike_among_many_points_survives() -> None:
    y = np.zeros(10_000)
    y[5_000] = 1.0
    drawn = dots(curve_bits(np.arange(10_000.0), y, Window(0, 9_999, 0, 1), 1, 4))
    assert any(row == 0 for row, _ in drawn)
    assert {column for _, column in drawn} == set(range(8))


def test_nan_leaves_a_gap() -> None:
    drawn = curve([0, 1, 2, 3, 4], [0, 0, np.nan, 0, 0], Window(0, 4, 0, 1), 1, 5)
    assert {column for _, column in drawn} == {0, 1, 2, 7, 8, 9}


def test_infinity_is_a_gap_too() -> None:
    window = Window(0, 4, 0, 1)
    assert curve([0, 1, 2, 3, 4], [0, 0, np.inf, 0, 0], window, 1, 5) == curve(
        [0, 1, 2, 3, 4], [0, 0, np.nan, 0, 0], window, 1, 5
    )


def test_a_line_enters_from_outside_the_window() -> None:
    assert curve([-3, 6], [1, 1], Window(0, 3, 0, 3)) == {(2, 0), (2, 1), (2, 2), (2, 3)}


def test_what_is_above_and_below_is_cut_off() -> None:
    assert curve([0, 3], [9, 9], Window(0, 3, 0, 3)) == set()
    assert curve([0, 3], [-9, -9], Window(0, 3, 0, 3)) == set()


def test_the_later_series_owns_the_cell() -> None:
    x = np.array([0.0, 3.0])
    layers = [curve_bits(x, y, Window(0, 3, 0, 3), 2, 2) for y in (x, np.zeros(2))]
    codes_HW, owners_HW = stack(layers)
    assert owners_HW.tolist() == [[NO_LAYER, 0], [1, 1]]
    assert codes_HW[0, 0] == BLANK


def test_nothing_to_draw() -> None:
    empty = np.empty(0)
    assert not curve_bits(empty, empty, Window(0, 1, 0, 1), 3, 3).any()
    assert not curve_bits(np.zeros(2), np.full(2, np.nan), Window(0, 1, 0, 1), 3, 3).any()


def test_a_level_is_every_other_dot() -> None:
    assert dots(level_bits(1.0, Window(0, 3, 0, 3), 1, 2)) == {(2, 0), (2, 2)}
    assert not level_bits(9.0, Window(0, 3, 0, 3), 1, 2).any()


@pytest.mark.parametrize(("y", "row"), [(0.0, 7), (1.0, 0), (0.5, 4), (1.2, None), (np.nan, None)])
def test_dot_rows_count_from_the_top(y: float, row: int | None) -> None:
    assert dot_row(y, Window(0, 1, 0, 1), 2) == row


@given(
    arrays(np.float64, st.integers(0, 200), elements=st.floats(allow_nan=True, allow_infinity=True)),
    st.integers(1, 4),
    st.integers(1, 9),
)
def test_any_values_can_be_drawn(y_K: NDArray[np.float64], height: int, width: int) -> None:
    bits = curve_bits(np.arange(y_K.size, dtype=float), y_K, Window(0, 50, -1, 1), height, width)
    assert bits.shape == (height, width)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=300), st.integers(1, 9))
def test_an_unbroken_curve_is_connected(values: list[float], width: int) -> None:
    y_K = np.array(values)
    drawn = dots(curve_bits(np.arange(y_K.size, dtype=float), y_K, Window(0, y_K.size - 1, 0, 1), 3, width))
    reached, fresh = set(), {min(drawn, key=lambda dot: dot[1])}
    while fresh:
        reached |= fresh
        fresh = {
            (row + down, column + right)
            for row, column in fresh
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
        } & (drawn - reached)
    assert reached == drawn
    assert {column for _, column in drawn} == set(range(2 * width))


def test_drawing_does_not_depend_on_points_that_add_nothing() -> None:
    x_K = np.linspace(0, 10, 100_001)
    coarse = x_K[::10]
    window = Window(0, 10, 0, 10)
    assert dots(curve_bits(x_K, x_K, window, 4, 10)) == dots(curve_bits(coarse, coarse, window, 4, 10))
