"""The question of entry 3: four trainings, one picture, three sentences."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from femtotui.cli.main import main
from femtotui.experiments.why_layers import ANSWER, CurvesPicture, LossCurve, _smoothed


def test_the_mean_of_the_last_steps() -> None:
    losses = np.random.default_rng(0).normal(size=50)
    smoothed = _smoothed(losses)
    assert smoothed[0] == pytest.approx(losses[0])
    assert smoothed[9] == pytest.approx(losses[:10].mean())
    assert smoothed[-1] == pytest.approx(losses[-20:].mean())
    assert len(_smoothed(losses[:5])) == 5


@pytest.mark.parametrize("width", [40, 80, 160])
def test_every_curve_is_drawn_in_its_colour_and_named(width: int, tmp_path: Path) -> None:
    curves = [
        LossCurve(f"curve {i}", colour, np.linspace(3.0 + i, 1.0 + i / 4, 200))
        for i, colour in enumerate(("red", "green", "blue", "yellow"))
    ]
    console = Console(width=width, record=True, file=(tmp_path / "out").open("w"), color_system="truecolor")
    console.print(CurvesPicture(curves))
    text = console.export_text(clear=False)
    assert max(map(len, text.splitlines())) <= width
    for curve in curves:
        assert f"{curve.name}: {curve.end:.4f}" in text
    assert len({segment.style for segment in console.render(CurvesPicture(curves)) if segment.style}) == 4
    assert len(ANSWER) == 3


def test_the_command_trains_four_times_and_then_only_reads(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    arguments = ["why-layers", "--steps", "2", "--json", "--runs", str(tmp_path)]
    assert main(arguments) == 0
    first = msgspec.json.decode(capfdbinary.readouterr().out)
    assert len(first["losses"]) == 4
    assert len(set(first["losses"].values())) == 4
    runs = sorted(path.name for path in (tmp_path / "reproduce").iterdir())
    assert main(arguments) == 0
    assert msgspec.json.decode(capfdbinary.readouterr().out) == first
    assert sorted(path.name for path in (tmp_path / "reproduce").iterdir()) == runs
