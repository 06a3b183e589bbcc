"""Threads and chunk: measured once, remembered, and never a reason to fail."""

from __future__ import annotations

import pytest
from torch_reference import recipe  # type: ignore[attr-defined]

from femtotui.core.config import ModelConfig
from femtotui.core.training import calibration
from femtotui.core.training.calibration import ThreadChoice, measured_choice, remembered_choice

MODEL = ModelConfig(n_layers=1, width=8, n_heads=2, context=8, vocab_size=5)
RECIPE = recipe("prenorm")


def pretend(monkeypatch, ms):
    """Have candidate i take `ms[i]` milliseconds."""
    asked = []

    def measured(_model, _recipe, _batch, threads, chunk):
        asked.append((threads, chunk))
        return ThreadChoice(threads=threads, chunk=chunk, ms=ms[min(len(asked), len(ms)) - 1])

    monkeypatch.setattr(calibration, "_measured", measured)
    monkeypatch.setattr(calibration, "choose_threads", lambda _batch: 4)
    return asked


def test_the_usual_choice_stays_unless_another_is_clearly_faster(monkeypatch):
    asked = pretend(monkeypatch, [10.0, 9.9, 9.8])
    assert measured_choice(MODEL, RECIPE, 32) == ThreadChoice(threads=4, chunk=8, ms=10.0)
    assert asked == [(4, 8), (4, 4), (2, 16), (1, 32)]


def test_the_fastest_wins(monkeypatch):
    pretend(monkeypatch, [10.0, 9.0, 5.0, 6.0])
    assert measured_choice(MODEL, RECIPE, 32) == ThreadChoice(threads=2, chunk=16, ms=5.0)


def test_a_slow_model_is_measured_once(monkeypatch):
    asked = pretend(monkeypatch, [calibration.LONGEST_STEP_MS + 1, 1.0])
    assert measured_choice(MODEL, RECIPE, 32).threads == 4
    assert len(asked) == 1


def test_a_large_model_is_timed_on_a_part_of_the_batch(monkeypatch):
    asked = pretend(monkeypatch, [5.0])
    large = ModelConfig(n_layers=8, width=256, n_heads=8, context=64, vocab_size=256)
    choice = measured_choice(large, RECIPE, 32)
    assert (choice.threads, choice.ms) == (4, 20.0)
    assert asked == [(4, 2)]


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_real_choices_fit_the_batch(batch):
    choice = measured_choice(MODEL, RECIPE, batch)
    assert 1 <= choice.threads <= batch
    assert 1 <= choice.chunk <= batch
    assert choice.ms > 0


def test_a_choice_is_remembered_for_its_size_only(tmp_path, monkeypatch):
    file = tmp_path / "new" / "threads.json"
    asked = pretend(monkeypatch, [10.0, 20.0])
    first = remembered_choice(file, MODEL, RECIPE, 32)
    measured = len(asked)
    assert remembered_choice(file, MODEL, RECIPE, 32) == first
    assert len(asked) == measured
    remembered_choice(file, MODEL, RECIPE, 16)
    remembered_choice(file, MODEL, recipe("journal"), 32)
    assert len(asked) > measured
    assert remembered_choice(file, MODEL, RECIPE, 32) == first


@pytest.mark.parametrize("damage", [b"", b"{", b'{"format":99,"choices":{}}', b"\xff", b'{"choices":[]}'])
def test_a_damaged_file_only_costs_the_measurement(tmp_path, monkeypatch, damage):
    file = tmp_path / "threads.json"
    file.write_bytes(damage)
    pretend(monkeypatch, [10.0])
    assert remembered_choice(file, MODEL, RECIPE, 8).ms == 10.0
    monkeypatch.undo()
    assert remembered_choice(file, MODEL, RECIPE, 8).ms == 10.0


def test_a_file_that_cannot_be_written_only_costs_the_measurement(tmp_path, monkeypatch):
    pretend(monkeypatch, [10.0])
    (tmp_path / "occupied").write_text("a file, not a folder")
    assert remembered_choice(tmp_path / "occupied" / "threads.json", MODEL, RECIPE, 8).ms == 10.0
