"""What the layers panel says of inspected steps, and when one is asked for; without a screen."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from fake_trainer import run_started, step_done
from inspected_steps import inspected
from textual.content import Content

from femtotui.core.config import RunConfig
from femtotui.core.events import Paused, StepInspected
from femtotui.inspection.layer_report import columns, evenly, findings, scientific, tensor_rows
from femtotui.inspection.layers_panel import InspectionPace, detail_lines, table_lines, waiting_words
from femtotui.presets import load_preset, run_config
from femtotui.runs.state import RunState


def config(recipe: str = "journal-gains-1") -> RunConfig:
    return run_config(load_preset("2"), recipe=recipe)


def said(*steps: StepInspected, recipe: str = "journal-gains-1") -> list[str]:
    return [finding.words() for finding in findings(steps, config(recipe))]


def test_nothing_is_wrong_with_a_healthy_step() -> None:
    assert said(inspected(10)) == [] == said(inspected(10), recipe="modern")


def test_few_carrying_coordinates_are_named_with_what_the_recipe_does() -> None:
    step = inspected(10, carrying={1: 8.7, 2: 2.2, 3: 3.0})
    found = "layers 1–3: 2–9 of 64 coordinates carry the stream"
    assert said(step, recipe="journal") == [f"{found}; the LayerNorm gains start near 0"]
    assert said(step) == [f"{found}; a few have outgrown the others"]
    assert said(inspected(10, carrying={0: 1.0, 2: 12.9})) == []


def test_words_are_left_out_where_there_is_no_room_for_them() -> None:
    (finding,) = findings([inspected(10, carrying={1: 8.7, 2: 2.2})], config("journal"))
    assert finding.words(90).endswith("; the LayerNorm gains start near 0")
    assert finding.words(74).endswith("; gains start near 0")
    assert finding.words(60).endswith("carry the stream") and finding.words(5) == finding.words(60)


def test_a_rate_is_too_high_if_two_updates_in_a_row_are_large() -> None:
    high, low = inspected(10, update={2: 0.05, 4: 0.032}), inspected(11)
    words = ["layers 2, 4: update/weight 5.0e-2; the learning rate is too high"]
    assert said(high) == words == said(low, high, high)
    assert said(low, high) == [] == said(high, low)


def test_muons_updates_are_larger_by_nature() -> None:
    usual, high = inspected(10, update={1: 0.06}), inspected(10, update={1: 0.12})
    assert said(usual, recipe="modern") == []
    assert said(high, recipe="modern") == ["layer 1: update/weight 1.2e-1; the learning rate is too high"]


def test_a_stream_that_grew_and_a_gradient_that_fades_are_named() -> None:
    assert said(inspected(10, rms={3: 44.4, 4: 57.0})) == [
        "layers 3–4: the stream has grown to an RMS of 57; the rate is or was too high"
    ]
    assert said(inspected(10, gradient={1: 1e-6, 2: 1.5e-4})) == [
        "layers 1–2: 5.0e-5 of the last layer's gradient arrives; hardly learning"
    ]
    assert said(inspected(10, gradient={0: 1e-9, 1: 3e-4})) == []


def test_silent_units_are_named() -> None:
    step = inspected(10, silent={1: 0.6, 2: 0.59})
    assert said(step) == ["layer 1: 60% of the feed-forward units never fire"]


def test_causes_come_before_effects() -> None:
    step = inspected(10, update={1: 0.1}, gradient={1: 1e-9}, silent={4: 0.7}, rms={4: 99.0})
    named = ("update/weight", "the stream has grown", "gradient arrives", "never fire")
    assert all(words in sentence for words, sentence in zip(named, said(step), strict=True))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_figures_that_are_not_finite_have_words(bad: float) -> None:
    step = inspected(3, rms={1: bad}, carrying={2: bad}, gradient={3: bad}, update={4: bad})
    said(step)
    assert "embedding" in rows(step)[1]


# -- rows ------------------------------------------------------------------------------------------------


def rows(*steps: StepInspected, width: int = 100) -> list[str]:
    found = findings(steps, config("journal"))
    lines = table_lines(steps, columns(64), found, None, width)
    assert all(isinstance(line, Content) and line.cell_length <= width for line in lines)
    return [line.plain for line in lines]


def test_a_row_has_the_newest_figures_and_the_past_as_bars() -> None:
    header, embedding, first, *_ = rows(
        inspected(7, rms={1: 1.0}), inspected(9, rms={1: 2.0}, carrying={1: 3.0})
    )
    assert header.split() == [
        "step",
        "9",
        "stream",
        "RMS",
        "carrying",
        "gradient",
        "RMS",
        "update/weight",
        "silent",
    ]
    assert embedding.split()[:3] == ["embedding", "1", "██"] and "%" not in embedding
    assert first.split() == [
        "!",
        "layer",
        "1",
        "2",
        "▅█",
        "3/64",
        "█▁",
        "2.0e-2",
        "██",
        "4.0e-3",
        "██",
        "2%",
        "██",
    ]


@pytest.mark.parametrize(
    ("width", "last"), [(160, "entropy"), (91, "silent"), (74, "update/weight"), (36, "carrying"), (11, "")]
)
def test_narrower_panels_show_the_most_important_columns(width: int, last: str) -> None:
    header = rows(inspected(9), width=width)[0]
    assert header.split()[-1] == last if last else header.strip() == "step 9"


def test_the_past_is_chosen_evenly_and_ends_with_the_newest() -> None:
    steps = [inspected(number) for number in range(1, 11)]
    assert [e.step for e in evenly(steps, 5)] == [2, 4, 6, 8, 10]
    assert evenly(steps, 50) == steps and evenly(steps, 0) == []


def test_the_weights_of_a_layer_are_told_from_those_of_none() -> None:
    step = inspected(9)
    assert [name for name, *_ in tensor_rows(step, 2)] == [
        "attention.qkv.weight", "feed_forward.up.weight", "norm1.gain",
    ]  # fmt: skip
    assert list(tensor_rows(step, 0)) == [("token_embedding.weight", 10.0, 0.5, 0.001)]
    about, weights = detail_lines(step, 2, 90)[1], detail_lines(step, 2, 90)[3]
    assert about.plain == "layer 2: entropy of its heads 4.6 2.5 bits · units always off 2%, on 1%"
    assert weights.plain.split() == ["attention.qkv.weight", "2", "1.0e-1", "4.0e-3"]


def test_small_and_large_numbers_are_short() -> None:
    assert [scientific(v) for v in (0.0031, 0.0, 12.0, 1e-12, math.inf)] == [
        "3.1e-3",
        "0",
        "1.2e1",
        "1.0e-12",
        "inf",
    ]


# -- asking ----------------------------------------------------------------------------------------------


def trained(last: int, ms: float = 16.9) -> RunState:
    state = RunState(config())
    state.fold([run_started(state.config, "/runs/one"), *(step_done(n, ms=ms) for n in range(1, last + 1))])
    return state


def asked_at(state: RunState, pace: InspectionPace, last: int, ms: float) -> list[int]:
    steps = []
    for step in range(state.step + 1, last + 1):
        state.fold([step_done(step, ms=ms)])
        steps += [step] if pace.due(state, in_sight=True) else []
    return steps


def test_a_step_is_asked_for_when_the_panel_comes_in_sight_and_then_at_intervals() -> None:
    state, pace = trained(1000), InspectionPace()
    assert not pace.due(state, in_sight=False)
    assert pace.due(state, in_sight=True) and not pace.due(state, in_sight=True)
    assert asked_at(state, pace, 1300, 16.9) == [1119, 1238]  # 2 seconds of training each
    assert not pace.due(state, in_sight=False) and pace.due(state, in_sight=True)


def test_slow_steps_are_measured_less_often_and_the_first_ones_more() -> None:
    assert asked_at(trained(100, 500.0), InspectionPace(), 170, 500.0) == [101, 131, 161]
    early = asked_at(trained(1), InspectionPace(), 200, 16.9)
    assert early[:4] == [2, 32, 62, 92] and min(b - a for a, b in pairwise(early)) >= 30


def test_nothing_is_asked_of_a_run_that_does_not_train() -> None:
    state, pace = trained(10), InspectionPace()
    state.fold([Paused(step=10)])
    assert not pace.due(state, in_sight=True)
    assert "space resumes" in waiting_words(state) and "waiting" in waiting_words(None)
    state.trainer_lost(1, "")
    assert "no step was measured" in waiting_words(state)
