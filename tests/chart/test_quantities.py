"""Quantities beside the loss: what is kept of them, how they are averaged and drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from femtotui.chart.chart_model import ChartData, ChartModel, Overlay
from femtotui.chart.labels import legend
from femtotui.chart.quantities import (
    CAPACITY,
    GRADIENT_NORM,
    LEARNING_RATE,
    LOSS,
    THROUGHPUT,
    HarmonicSmoother,
    Quantity,
    StepHistory,
)
from femtotui.chart.series import LossSeries

OTHERS = (LEARNING_RATE, GRADIENT_NORM, THROUGHPUT)


def history(last: int, first: int = 1, into: StepHistory | None = None, piece: int = 10_000) -> StepHistory:
    """Steps of 20 ms at a rate of 1e-3, whose gradient norm is 1, but 9 at every 1,000th step."""
    into = into or StepHistory()
    for start in range(first, last + 1, piece):
        steps = np.arange(start, min(start + piece, last + 1))
        norms = np.where(steps % 1000 == 0, 9.0, 1.0)
        ones = np.ones(steps.size)
        into.extend(steps, steps * 0.02, 1e-3 * ones, norms, 20 * ones)
    return into


def values(kept: StepHistory, quantity: Quantity) -> NDArray[np.float64]:
    return kept.series(quantity, 2000).losses


def test_while_there_is_room_every_step_is_a_point() -> None:
    kept = history(5000, piece=7)
    series = kept.series(GRADIENT_NORM, 1)
    assert series.steps.tolist() == list(range(1, 5001)) and series.elapsed_s[-1] == 100.0
    assert np.flatnonzero(series.losses == 9).tolist() == [999, 1999, 2999, 3999, 4999]
    assert values(kept, LEARNING_RATE)[-1] == 1e-3 and values(kept, THROUGHPUT)[-1] == 100_000


@pytest.mark.parametrize("piece", [1_000_000, 33_333])
def test_a_million_steps_take_no_more_room_and_lose_no_spike(piece: int) -> None:
    kept = history(1_000_000, piece=piece)
    series = kept.series(GRADIENT_NORM, 1)
    assert CAPACITY / 2 <= len(series) <= CAPACITY and kept._room_RK.nbytes < 1.5e6
    assert np.ptp(np.diff(series.steps)) == 0 and series.steps[-1] > 999_900
    assert np.count_nonzero(series.losses == 9) == 1000
    assert set(values(kept, THROUGHPUT)) == {100_000.0}


def test_going_back_drops_what_lies_after_it() -> None:
    kept = history(3000)
    kept.forget_after(2500)
    assert kept.series(LEARNING_RATE, 1).steps[-1] == 2500
    assert kept.series(LEARNING_RATE, 1).steps.size == 2500
    history(2700, 2501, into=kept)
    assert kept.series(LEARNING_RATE, 1).steps.tolist() == list(range(1, 2701))
    long = history(100_000)
    long.forget_after(50_001)
    history(60_000, 50_002, into=long)
    assert (np.diff(long.series(LEARNING_RATE, 1).steps) > 0).all()


def test_rates_are_averaged_by_time() -> None:
    """Ten steps at 100 a second and one at 1: eleven in 1.1 seconds."""
    speeds = HarmonicSmoother(0.999999).extend(np.array([100.0] * 10 + [1.0]), np.arange(11.0))
    assert speeds[-1] == pytest.approx(10, rel=1e-4)


def shown(quantity: Quantity, losses: LossSeries | None = None) -> ChartData:
    losses = losses if losses is not None else LossSeries.of(range(1, 501), np.linspace(5, 1, 500))
    return ChartData(history(500).series(quantity, 2000), quantity=quantity, losses=losses)


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        (LEARNING_RATE, ["learning rate 1.00e-03"]),
        (GRADIENT_NORM, ["smoothed 1.000", "gradient norm 1.000"]),
        (THROUGHPUT, ["smoothed 100k tok/s", "throughput 100k tok/s"]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_quantity_has_its_name_and_number_format(quantity: Quantity, words: list[str]) -> None:
    model = ChartModel()
    model.show(shown(quantity))
    frame = model.frame()
    assert frame is not None and [item.text for item in legend(frame)] == words
    assert frame.newest is not None and frame.newest.label in words[0]
    model.move_cursor(-1)
    reading = model.frame()
    assert reading is not None and [item.text for item in legend(reading)][1:] == words


def test_losses_and_their_units_stay_with_the_loss() -> None:
    model = ChartModel()
    model.set_overlays([Overlay("a", "another", LossSeries.of([1, 2], [3.0, 2.0]))])
    model.unit = "bits"
    data = shown(GRADIENT_NORM)
    model.show(data)
    frame = model.frame()
    assert frame is not None and not frame.overlays and not frame.levels
    assert frame.raw_K[-1] == 1.0 and "bits" not in frame.settings[0]
    assert data.losses is not None
    model.show(ChartData(data.losses))
    frame = model.frame()
    assert frame is not None and frame.overlays and "bits per byte" in frame.settings[0]


def test_the_view_stays_when_the_quantity_changes_and_goes_with_the_run() -> None:
    model = ChartModel()
    losses = LossSeries.of(range(1, 501), np.linspace(5, 1, 500))
    model.show(ChartData(losses))
    model.move_cursor(0)
    model.view = replace(model.view.zoomed_x(model.whole_x, 0.5, 500), y=(0.0, 1.0))
    x = model.view.x
    for quantity in OTHERS:
        model.show(shown(quantity, losses))
        assert model.view.x == x and model.view.y is None and model.cursor_step == 500
    model.show(shown(GRADIENT_NORM))  # of another run
    assert model.view.x is None and model.cursor_step is None


def test_a_learning_rate_is_all_in_sight_and_never_averaged() -> None:
    kept = StepHistory()
    rates = np.concatenate([np.linspace(0, 6e-3, 30), np.linspace(6e-3, 3e-4, 970)])
    kept.extend(np.arange(1000), np.arange(1000), rates, np.ones(1000), np.ones(1000))
    model = ChartModel(smoothing=0.99)
    model.show(ChartData(kept.series(LEARNING_RATE, 1), quantity=LEARNING_RATE))
    low, high = model.whole_y
    assert low <= 0 and high >= 6e-3
    frame = model.frame()
    assert frame is not None and np.array_equal(frame.smoothed_K, rates)
    assert "smoothing" not in frame.settings[0]


def test_the_loss_is_as_it_was() -> None:
    assert ChartData().quantity is LOSS and LOSS.words(1.23456) == "1.2346"
