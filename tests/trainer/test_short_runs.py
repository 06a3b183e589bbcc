"""Short trainings by the modern recipe to a score that means something; the long ones: `make reproduce`."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue

import pytest

from femtotui.experiments.experiment import Trial
from femtotui.experiments.reproduction import TrialResult, train_trial
from femtotui.presets import load_preset, run_config

GRAMMAR = 1.4165
"""Nats a character of simple_dummy for a reader that knows its grammar, but not the rules beyond it."""


def trained(key: str, steps: int, runs: Path) -> TrialResult:
    config = run_config(load_preset(key), steps=steps, threads=1, chunk=8)
    return train_trial(Trial(key, config), runs, lambda _event: None, SimpleQueue())


def test_entry_2_learns_more_than_the_grammar_in_a_fifth_of_the_journals_steps(tmp_path: Path) -> None:
    done = trained("2", 120, tmp_path)
    assert done.finished.val_loss < GRAMMAR - 0.02  # 1.372 where this was written
    assert done.score.score > 0.45  # of some 500 words; 59% there


def test_addition_falls_below_the_journals_loss_in_a_fourteenth_of_its_steps(tmp_path: Path) -> None:
    record = load_preset("7").journal
    assert record is not None
    done = trained("7", 50, tmp_path)
    assert done.finished.val_loss < record.loss - 0.1  # 1.188 where this was written; the journal: 1.3845
    assert done.score.evaluator == "addition_dummy"


@pytest.mark.slow
def test_entry_2_obeys_the_rules_at_the_journals_own_step(tmp_path: Path) -> None:
    record = load_preset("2").journal
    assert record is not None
    assert trained("2", record.step, tmp_path).score.score >= 0.85  # 96% where this was written
