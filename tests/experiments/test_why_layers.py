"""The question of entry 3: four trainings, one picture, three sentences."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from femtotui.cli.main import main
from femtotui.core.events import StepDone
from femtotui.experiments.why_layers import ANSWER, CASES, curves_text, stream_rows, why_layers_experiment
from femtotui.runs.state import RunState


@pytest.mark.parametrize("width", [40, 80, 160])
def test_every_curve_is_drawn_in_its_colour_and_named(width: int, tmp_path: Path) -> None:
    experiment = why_layers_experiment(steps=200)
    assert {trial.config.train.threads for trial in experiment.trials} == {2}  # a seed alone fixes nothing
    for number, trial in enumerate(experiment.trials):
        trial.state = RunState(trial.config)
        trial.state.fold(
            StepDone(
                step=step, loss=3.0 + number - step / 100, lr=1e-3, grad_norm=1.0, ms=1.0,
                elapsed_s=step / 1000, rss_mib=1.0,
            )
            for step in range(1, 201)
        )  # fmt: skip
    console = Console(width=width, record=True, file=(tmp_path / "out").open("w"), color_system="truecolor")
    text = curves_text(experiment, width)
    console.print(text)
    shown = console.export_text()
    assert max(map(len, shown.splitlines())) <= width
    for number, case in enumerate(CASES):
        assert f"{case.name}: {1.095 + number:.4f}" in shown
    drawn = {
        str(span.style)
        for span in text.spans
        if any("⠀" < dot <= "⣿" for dot in text.plain[span.start : span.end])
    }
    assert drawn == {case.colour for case in CASES}
    assert len(ANSWER) == 3


def test_what_the_answer_says_of_the_stream_is_what_is_measured() -> None:
    (_, near_0), (_, at_1) = stream_rows()
    carrying = [round(depth.carrying) for depth in near_0]
    assert f"before training {carrying[0]} of 64 coordinates" in ANSWER[1]
    assert f"{carrying[1]} after one layer" in ANSWER[1]
    assert all(3 <= found <= 4 for found in carrying[2:])
    assert {round(depth.carrying) for depth in at_1} == {28}
    assert max(depth.rms for depth in near_0[1:]) < 2 * min(depth.rms for depth in near_0[1:])


def test_the_command_trains_four_times_and_then_only_reads(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    arguments = ["why-layers", "--steps", "2", "--json", "--runs", str(tmp_path)]
    assert main(arguments) == 0
    first = msgspec.json.decode(capfdbinary.readouterr().out)
    assert len(first["losses"]) == 4
    assert len(set(first["losses"].values())) == 4
    assert [len(depths) for depths in first["stream"].values()] == [7, 7]
    runs = sorted(path.name for path in (tmp_path / "reproduce").iterdir())
    assert main(arguments) == 0
    assert msgspec.json.decode(capfdbinary.readouterr().out) == first
    assert sorted(path.name for path in (tmp_path / "reproduce").iterdir()) == runs
