"""The verdict on recorded curves: entry 10 as it was trained, by the modern and by the journal's recipe."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from femtotui.core.events import Baselines
from femtotui.presets import load_preset
from femtotui.runs.verdict import Trend, judge, slope

CURVES = Path(__file__).parents[1] / "support" / "curves"
BASELINES = Baselines(uniform=5.545, unigram=3.0, bigram=1.66, floor=1.2413)
RECORD = load_preset("10").journal


def recorded(recipe: str) -> tuple[np.ndarray, np.ndarray]:
    with (CURVES / f"entry-10-{recipe}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return np.array([float(row["loss"]) for row in rows]), np.array([float(row["elapsed_s"]) for row in rows])


def verdict(recipe: str, steps: int, **options: bool) -> str:
    losses, seconds = (column[:steps] for column in recorded(recipe))
    return judge(np.arange(1, steps + 1), losses, seconds, [], BASELINES, RECORD, **options).words


def test_the_first_steps_say_nothing() -> None:
    assert verdict("modern", 59) == "too early to tell"


def test_a_young_run_falls_and_is_measured_against_the_bigram_baseline() -> None:
    words = verdict("journal", 300)
    assert words.startswith("still falling ") and "0.47 above the bigram baseline" in words
    assert "the journal got to 1.530 at step 528" in words


def test_past_the_bigrams_it_is_measured_against_the_floor_and_the_journal() -> None:
    words = verdict("modern", 300)
    assert "still falling" in words and "16% above the floor" in words
    assert "below the journal's 1.530 since step 139" in words


def test_a_plateau_is_flat() -> None:
    for steps in range(850, 1201, 10):
        assert verdict("modern", steps).startswith("flat"), steps


def test_the_journal_recipe_never_looks_flat_while_it_learns() -> None:
    for steps in range(80, 500, 10):
        assert verdict("journal", steps).startswith("still falling"), steps


def test_noise_about_a_flat_curve_raises_no_alarm() -> None:
    """The residuals of a real plateau, dealt out anew a thousand times."""
    losses, _ = recorded("modern")
    tail = losses[700:]
    residuals = tail - np.convolve(tail, np.ones(51) / 51, "same")
    rng = np.random.default_rng(0)
    trends = [
        slope(1.42 + rng.choice(residuals[60:-60], 600), np.arange(600) * 0.017).trend for _ in range(1000)
    ]
    assert sum(trend is not Trend.FLAT for trend in trends) <= 2


def test_spikes_do_not_hide_a_fall() -> None:
    losses, seconds = recorded("journal")
    losses = losses[:400].copy()
    losses[50::37] += 5.0
    assert slope(losses, seconds[:400]).trend is Trend.FALLING


def test_a_rise_is_called_one() -> None:
    losses, seconds = recorded("journal")
    assert slope(losses[:400][::-1], seconds[:400]).trend is Trend.RISING


def test_gaps_and_a_clock_that_jumps_are_survived() -> None:
    losses, seconds = recorded("journal")
    losses[100:110] = np.nan
    seconds[200:] -= 3600.0
    assert judge(np.arange(1, 401), losses[:400], seconds[:400], [], BASELINES, RECORD).words
    assert judge([1] * 80, [float("nan")] * 80, [0.0] * 80, []).tone == "error"


@pytest.mark.parametrize("constant", [0.0, 1.5])
def test_a_constant_loss_is_flat(constant: float) -> None:
    assert slope([constant] * 200, np.arange(200.0)).trend is Trend.FLAT
    assert slope([constant] * 200, [0.0] * 200).trend is Trend.FLAT


def test_overfitting_is_noticed() -> None:
    losses, seconds = recorded("journal")
    evals = [(40 * k, 1.5 + 0.05 * abs(k - 2)) for k in range(1, 10)]
    found = judge(np.arange(1, 401), losses[:400], seconds[:400], evals, BASELINES, RECORD)
    assert "validation loss was lowest at step 80: overfitting" in found.words and found.tone == "warning"


def test_a_run_that_ended_too_early_says_so() -> None:
    assert "was still falling" in verdict("journal", 300, over=True)


def test_without_baselines_and_a_record_only_the_trend_is_left() -> None:
    losses, seconds = (column[:1200] for column in recorded("modern"))
    assert judge(np.arange(1, 1201), losses, seconds, []).words == "flat"
