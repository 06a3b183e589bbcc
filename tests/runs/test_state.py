"""The state behind the panels, folded from events, and the words that show it."""

from __future__ import annotations

import math

import pytest
from fake_trainer import recorded_loss, run_started, step_done, steps

from femtotui.core.config import RunConfig
from femtotui.core.events import CheckpointSaved, EvalDone, Paused, Resumed, RunFailed, RunFinished
from femtotui.presets import list_presets, load_preset, run_config
from femtotui.runs.state import RunState, Status
from femtotui.text.formats import (
    duration,
    loss,
    memory,
    milliseconds,
    preset_parameters,
    rate,
    short_title,
    size,
)
from femtotui.text.safe import unwrapped
from femtotui.train.panels import figures_line, panel_lines, summary_facts


@pytest.fixture
def config() -> RunConfig:
    return run_config(load_preset("2"))


@pytest.fixture
def view(config: RunConfig) -> RunState:
    view = RunState(config)
    view.fold([run_started(config, "/runs/one")])
    return view


def finished(step: int, reason: str) -> RunFinished:
    return RunFinished(
        step=step,
        train_loss=1.25,
        val_loss=1.3,
        elapsed_s=70.0,
        peak_rss_mib=80.0,
        parameters=232_320,
        run="/runs/one",
        reason=reason,
    )


def test_a_view_is_starting_until_its_run_has_started(config: RunConfig) -> None:
    view = RunState(config)
    assert view.status is Status.STARTING and view.run is None and view.parameters is None
    view.fold([run_started(config, "/runs/one")])
    assert view.status is Status.TRAINING and view.run == "/runs/one" and view.parameters == 232_320


def test_steps_become_the_curve(view: RunState) -> None:
    view.fold(steps(1, 250))
    assert list(view.steps) == list(range(1, 251))
    assert view.losses[-1] == recorded_loss(250)
    assert [step for step, _loss in view.evals] == [100, 200]
    assert view.step == 250 and view.elapsed_s == pytest.approx(250 * 0.0169)


def test_the_loss_is_the_mean_of_the_last_twenty_steps(view: RunState) -> None:
    assert view.smoothed_loss is None
    view.fold([step_done(1, loss=3.0), step_done(2, loss=1.0)])
    assert view.smoothed_loss == 2.0
    view.fold(step_done(step, loss=0.5) for step in range(3, 23))
    assert view.smoothed_loss == 0.5


def test_speed_and_time_left_follow_the_recent_steps(view: RunState) -> None:
    assert view.left_s is None and view.tokens_per_s is None
    view.fold(step_done(step, ms=100.0) for step in range(1, 101))
    assert view.ms_per_step == pytest.approx(100)
    assert view.tokens_per_s == pytest.approx(32 * 64 * 10)
    assert view.left_s == pytest.approx((view.total_steps - 100) * 0.1)


def test_time_left_counts_what_happens_between_the_steps(view: RunState) -> None:
    first, second = step_done(1, ms=10.0), step_done(2, ms=15.0)  # 30 ms after the start, 20 after the first
    view.fold([first, second])
    assert view.left_s == pytest.approx((view.total_steps - 2) * 0.02)


def test_pause_resume_and_the_end_set_the_status(view: RunState) -> None:
    view.fold([*steps(1, 5), Paused(step=5)])
    assert view.status is Status.PAUSED
    view.fold([Resumed(step=5)])
    assert view.status is Status.TRAINING
    view.fold([CheckpointSaved(step=5, path="x", ms=2.0), finished(5, "stopped")])
    assert view.status is Status.PARKED and view.checkpoint_step == 5
    view.fold([finished(4000, "finished")])
    assert view.status is Status.FINISHED and view.left_s == 0 and view.smoothed_loss == 1.25


def test_a_resumed_run_goes_over_the_lost_steps_again(view: RunState, config: RunConfig) -> None:
    view.fold(steps(1, 130))
    drawn = view.curve.rewritten
    view.fold([run_started(config, "/runs/one", step=90, elapsed_s=1.5)])
    assert view.curve.rewritten == drawn + 1
    assert list(view.steps)[-1] == 90 and len(view.seconds) == len(view.losses) == 90
    assert view.evals == [] and view.elapsed_s == 1.5
    view.fold(steps(91, 100))
    assert list(view.steps) == list(range(1, 101))


def test_a_trainer_that_dies_fails_the_run_and_keeps_its_numbers(view: RunState) -> None:
    view.fold(steps(1, 40))
    view.trainer_lost(-9, "Traceback\nMemoryError: no more\n\n")
    assert view.status is Status.FAILED and view.failure is not None
    assert "MemoryError: no more" in view.failure.message and view.failure.run == "/runs/one"
    assert view.step == 40 and len(view.losses) == 40


def test_a_trainer_that_dies_in_silence_leaves_its_exit_code(view: RunState) -> None:
    view.trainer_lost(-9, "")
    assert view.failure is not None and "-9" in view.failure.message


def test_a_trainer_that_ends_after_its_run_has_not_failed(view: RunState) -> None:
    view.fold([finished(4000, "finished")])
    view.trainer_lost(0, "")
    assert view.status is Status.FINISHED


def test_memory_is_trainer_and_app_together_with_its_peak(view: RunState) -> None:
    view.fold([step_done(1)])
    view.record_memory(50.0)
    peak = view.total_mib
    view.record_memory(40.0)
    assert view.total_mib == pytest.approx(view.rss_mib + 40) and view.peak_mib == peak
    view.fold([finished(1, "stopped")])
    view.record_memory(500.0)
    assert view.peak_mib == peak, "memory after the trainer has ended is not the run's"


def test_panels_say_step_loss_time_memory_and_speed(view: RunState) -> None:
    view.fold(steps(1, 1284))
    view.record_memory(40.0)
    lines = panel_lines(view)
    assert lines["step"][:2] == ("1,284", f"of {view.total_steps:,}")
    assert lines["step"].more.endswith(f"{1284 * 100 // view.total_steps}%")
    assert lines["loss"].sub.startswith("val 1.")
    assert lines["elapsed"].main == "0m 21s" and lines["elapsed"].sub.endswith("left")
    assert lines["RAM"] == ("103 MiB", "peak 103", "")
    assert lines["speed"] == ("16.9 ms/step", "121k tok/s", "█" * 12)
    assert "learning rate 3.00e-03" in figures_line(view)
    assert summary_facts(view)[0] == f"1,284/{view.total_steps:,}"


def test_panels_of_a_run_without_steps_have_dashes(view: RunState) -> None:
    lines = panel_lines(RunState(view.config))
    assert {lines[name].main for name in ("loss", "RAM", "speed", "rate")} == {"–"}
    assert figures_line(RunState(view.config)) == ""


def test_a_failed_run_promises_no_time_left(view: RunState) -> None:
    view.fold([*steps(1, 10), RunFailed(step=10, title="Training diverged", message="m", run="/runs/one")])
    assert panel_lines(view)["elapsed"].sub == "–"


def test_an_evaluation_without_steps_still_shows(view: RunState) -> None:
    view.fold([EvalDone(step=0, val_loss=5.5, train_loss=5.5, elapsed_s=0.0)])
    assert panel_lines(view)["loss"][:2] == ("–", "val 5.5000")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0m 00s"),
        (44.9, "0m 44s"),
        (761, "12m 41s"),
        (3725, "1h 02m"),
        (273_600, "3d 04h"),
        (-3, "0m 00s"),
        (math.inf, "–"),
        (math.nan, "–"),
    ],
)
def test_durations_read_as_in_the_journal(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (812, "812"),
        (67_136, "67K"),
        (232_320, "232K"),
        (331_904, "331K"),
        (999_999, "999K"),
        (1_253_376, "1.2M"),
        (6_443_776, "6.4M"),
        (26_524_060, "26M"),
    ],
)
def test_sizes_are_cut_off_as_in_the_journal(count: int, words: str) -> None:
    assert size(count) == words


def test_other_numbers_have_fixed_forms() -> None:
    assert [loss(1.5), loss(None), loss(math.nan)] == ["1.5000", "–", "not finite"]
    assert [memory(98.4), memory(1234.0), memory(12_288.0)] == ["98 MiB", "1,234 MiB", "12.0 GiB"]
    assert [milliseconds(16.94), milliseconds(412.3), milliseconds(21_900)] == ["16.9 ms", "412 ms", "21.9 s"]
    assert [rate(940), rate(9_400), rate(121_000), rate(1_200_000)] == [
        "940 tok/s",
        "9.4k tok/s",
        "121k tok/s",
        "1.2M tok/s",
    ]


def test_titles_and_sizes_of_the_journals_presets() -> None:
    entries = [preset for preset in list_presets() if preset.journal is not None]
    titles = [short_title(preset.title) for preset in entries]
    assert titles[0] == "simple 1" and titles[3] == "Rust 1" and titles[-1] == "English 2"
    sizes = [size(preset_parameters(preset)) for preset in entries]
    assert " ".join(sizes) == "201K 232K 331K 331K 6.4M 232K 232K 331K 506K 67K 1.2M 2.6M"


def test_text_from_outside_cannot_move_the_cursor() -> None:
    assert unwrapped("a\x1b[31mb\r\nc\u202ed") == "a␛[31mb c\\u202ed"
