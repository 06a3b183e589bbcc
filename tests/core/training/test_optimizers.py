"""The optimizer's blocks and the schedule's edges; AdamW's arithmetic is checked in test_model.py."""

from __future__ import annotations

import numpy as np
import pytest

from femtotui.core.config import AdamWConfig, ModelConfig, ScheduleConfig
from femtotui.core.model.parameters import parameter_table
from femtotui.core.training.optimizers import BLOCK, AdamW, blocks_of, gradient_norm, learning_rate

CONFIG = ModelConfig(n_layers=2, width=64, n_heads=4, context=8, vocab_size=300)
TABLE = parameter_table(CONFIG)


@pytest.mark.parametrize("decay", ["all", "matrices"])
def test_blocks_cover_every_parameter_once_and_decay_only_what_they_should(decay):
    decays = np.full(CONFIG.n_parameters, -1)
    for block in blocks_of(parameter_table(CONFIG), decay):
        assert 0 < block.stop - block.start <= BLOCK
        assert (decays[block.start : block.stop] == -1).all()
        decays[block.start : block.stop] = block.decays
    for p in parameter_table(CONFIG):
        expected = decay == "all" or len(p.shape) == 2
        assert (decays[p.offset : p.offset + p.size] == expected).all(), p.name


def test_the_order_in_which_blocks_are_done_changes_no_bit():
    rng = np.random.default_rng(0)
    gradient = rng.normal(size=CONFIG.n_parameters).astype(np.float32)
    results = []
    for order in (1, -1):
        adamw = AdamW(TABLE, CONFIG.n_parameters, AdamWConfig(clip_norm=1.0), np.dtype(np.float32))
        parameters, ours = np.ones(CONFIG.n_parameters, np.float32), gradient.copy()

        def share(work, n, order=order):
            for i in range(n)[::order]:
                work(i)

        norm = gradient_norm(ours, share)
        adamw.step(parameters, ours, norm, 1e-3, share)
        results.append((norm, parameters))
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1], results[1][1])
    assert results[0][0] == pytest.approx(float(np.linalg.norm(gradient.astype(float))), rel=1e-5)


def test_a_gradient_of_zeros_is_not_clipped_into_nan():
    adamw = AdamW(
        TABLE, CONFIG.n_parameters, AdamWConfig(clip_norm=1.0, weight_decay=0.0), np.dtype(np.float32)
    )
    parameters = np.ones(CONFIG.n_parameters, np.float32)
    zeros = np.zeros_like(parameters)

    def share(work, n):
        for i in range(n):
            work(i)

    adamw.step(parameters, zeros, gradient_norm(zeros, share), 1e-3, share)
    assert (parameters == 1).all()


def test_the_schedule_warms_up_falls_and_stays():
    schedule = ScheduleConfig(base_lr=1.0, min_lr=0.25, warmup_steps=10, decay_steps=20)
    rates = [learning_rate(schedule, step, 1000) for step in (0, 5, 10, 20, 30, 500)]
    assert rates == pytest.approx([0, 0.5, 1.0, 0.625, 0.25, 0.25])


def test_a_decay_that_ends_with_the_run_survives_runs_shorter_than_the_warmup():
    schedule = ScheduleConfig(base_lr=1.0, min_lr=0.1, warmup_steps=100, decay_steps=None)
    assert learning_rate(schedule, 49, 50) == pytest.approx(0.49)
    assert learning_rate(schedule, 100, 50) == pytest.approx(1.0)
    assert learning_rate(schedule, 299, 300) == pytest.approx(1.0 - 0.9 * 199 / 200)
