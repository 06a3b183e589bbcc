"""What a run is said to take, against what it was measured to take."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from femtotui.core.config import RunConfig
from femtotui.core.training.calibration import ThreadChoice, remember_step, remembered_choice
from femtotui.presets import load_preset, run_config
from femtotui.runs.forecast import forecast

MEASURED_MIB = (
    ("10", "modern", 1, 32, 140),
    ("2", "modern", 2, 16, 186),
    ("2", "journal", 2, 16, 192),
    ("3", "modern", 2, 16, 209),
    ("9", "modern", 2, 16, 231),
    ("11", "modern", 2, 16, 332),
    ("12", "modern", 2, 8, 416),
    ("5", "modern", 2, 6, 485),
    ("5", "journal", 2, 6, 486),
    ("5", "modern", 2, 8, 523),
    ("5", "journal", 2, 8, 527),
)
"""What tests/bench/memory.py saw on Linux: preset, recipe, threads, chunk, MiB of trainer and app."""

APP_MIB = 60.0
"""What the app takes when it says what a run will take."""


def config_of(key: str, recipe: str, threads: int = 0, chunk: int = 0) -> RunConfig:
    return run_config(load_preset(key), recipe=recipe, threads=threads, chunk=chunk)


@pytest.mark.parametrize(("key", "recipe", "threads", "chunk", "took_mib"), MEASURED_MIB)
def test_memory_is_foreseen_within_a_fifth(
    key: str, recipe: str, threads: int, chunk: int, took_mib: int, tmp_path: Path
) -> None:
    config = config_of(key, recipe, threads, chunk)
    found = forecast(config, APP_MIB, tmp_path / "none")
    assert found.mib == pytest.approx(took_mib, rel=0.2)
    assert found.ms_per_step is None and "to be timed" in found.words


def test_time_comes_from_what_this_machine_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = run_config(load_preset("10"), recipe="modern", steps=2000)
    file = tmp_path / "threads.json"
    monkeypatch.setattr(
        "femtotui.core.training.calibration.measured_choice",
        lambda *_: ThreadChoice(threads=1, chunk=4, ms=10.0),
    )
    remembered_choice(file, config.model, config.recipe, config.train.batch)
    found = forecast(config, APP_MIB, file)
    assert found.ms_per_step == pytest.approx(11.0)
    assert found.words.startswith("67,136 parameters · about ")
    assert found.words.endswith("11.0 ms per step · 0m 22s in all")


def test_time_comes_from_the_last_run_of_this_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of("10", "modern", threads=1, chunk=4)
    file = tmp_path / "threads.json"
    monkeypatch.setattr(
        "femtotui.core.training.calibration.measured_choice",
        lambda *_: ThreadChoice(threads=1, chunk=4, ms=99.0),
    )
    remembered_choice(file, config.model, config.recipe, config.train.batch)
    remember_step(file, config_of("10", "modern", threads=2, chunk=4), 5.0)
    assert forecast(config, APP_MIB, file).ms_per_step == pytest.approx(
        108.9
    )  # that run was of another choice
    remember_step(file, config, 12.5)
    assert forecast(config, APP_MIB, file).ms_per_step == 12.5
    chosen = remembered_choice(file, config.model, config.recipe, config.train.batch)
    assert (chosen.threads, chosen.chunk) == (1, 4)


def test_a_bpe_library_and_a_text_count_too(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_bytes(b"x" * 2**20)
    config = config_of("11", "modern")
    more = msgspec.structs.replace(
        config, data=msgspec.structs.replace(config.data, paths=(str(text), "none"))
    )
    assert forecast(more, 0, tmp_path / "n").mib == pytest.approx(forecast(config, 0, tmp_path / "n").mib + 6)
