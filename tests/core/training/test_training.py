"""Training: the same bits from the same seed, resuming that equals never having stopped, and divergence."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from small_training import small_config, small_training

from femtotui.core.config import ModelConfig, RunConfig
from femtotui.core.errors import CheckpointError, ConfigError, DivergedError
from femtotui.core.events import EvalDone, StepDone, StepInspected
from femtotui.core.model.parameters import named_tensors
from femtotui.core.training.training import RECENT_STEPS, train


def losses_of(config: RunConfig, steps: int | None = None) -> tuple[list[float], np.ndarray]:
    training = small_training(config)
    try:
        steps = steps or config.train.steps
        losses = [training.advance().loss for _ in range(steps)]
        return losses, training.parameters_P.copy()
    finally:
        training.close()


def with_dropout(config: RunConfig) -> RunConfig:
    model = ModelConfig(n_layers=1, width=8, n_heads=2, context=8, dropout=0.2)
    return msgspec.structs.replace(config, model=model)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_seed_and_threads_give_the_same_bits(threads):
    config = small_config(30, batch=7, threads=threads, chunk=2)
    first, first_parameters = losses_of(config)
    again, again_parameters = losses_of(config)
    assert first == again
    np.testing.assert_array_equal(first_parameters, again_parameters)
    other, _ = losses_of(small_config(30, batch=7, threads=threads, chunk=2, seed=1))
    assert first != other


def test_other_threads_give_the_same_to_rounding():
    one, _ = losses_of(small_config(20, batch=6, threads=1))
    three, _ = losses_of(small_config(20, batch=6, threads=3, chunk=1))
    np.testing.assert_allclose(one, three, rtol=1e-4)


@pytest.mark.parametrize("dropout", [False, True])
def test_resuming_equals_never_having_stopped(dropout):
    config = small_config(24, batch=5, threads=2)
    config = with_dropout(config) if dropout else config
    straight, straight_parameters = losses_of(config)
    first = small_training(config)
    before = [first.advance().loss for _ in range(10)]
    first.set_learning_rate(0.01)
    kept = {name: tensor.copy() for name, tensor in first.tensors().items()}
    recent = first.recent_loss
    first.close()
    second = small_training(config)
    second.restore(kept, 10, 1.5)
    assert (second.step, second.elapsed_s, second.recent_loss) == (10, 1.5, recent)
    after = [second.advance().loss for _ in range(14)]
    second.close()
    assert before + after == straight
    np.testing.assert_array_equal(second.parameters_P, straight_parameters)


def test_train_evaluates_on_time_and_at_the_end():
    training = small_training(small_config(10, eval_every=4))
    events = list(train(training))
    training.close()
    assert [e.step for e in events if isinstance(e, StepDone)] == list(range(1, 11))
    assert [e.step for e in events if isinstance(e, EvalDone)] == [4, 8, 10]
    evaluations = [e for e in events if isinstance(e, EvalDone)]
    assert evaluations[-1].val_loss < math.log(training.config.model.vocab_size)
    assert not list(train(training))


def test_a_loss_falls_and_recent_loss_is_its_mean():
    training = small_training(small_config(200))
    assert math.isnan(training.recent_loss)
    losses = [training.advance().loss for _ in range(200)]
    training.close()
    assert training.recent_loss == pytest.approx(sum(losses[-RECENT_STEPS:]) / RECENT_STEPS)
    assert training.recent_loss < 0.8 * losses[0]


def test_divergence_leaves_the_parameters_as_they_were():
    training = small_training(small_config(50))
    training.advance()
    tensors = {name: tensor.copy() for name, tensor in training.tensors().items()}
    tensors["parameters"][:] = 1e30
    training.restore(tensors, training.step, training.elapsed_s)
    before, step = training.parameters_P.copy(), training.step
    with pytest.raises(DivergedError, match=r"step 2.*learning rate"):
        training.advance()
    training.close()
    np.testing.assert_array_equal(training.parameters_P, before)
    assert training.step == step


def test_a_learning_rate_too_high_is_noticed_in_the_end_or_survived_but_never_silent_nan():
    training = small_training(small_config(200, base_lr=10.0))
    try:
        for _ in range(200):
            assert math.isfinite(training.advance().loss)
    except DivergedError as error:
        assert "lower learning rate" in str(error)
    finally:
        training.close()
    assert np.isfinite(training.parameters_P).all()


def test_the_learning_rate_can_be_changed_and_absurd_ones_are_refused():
    training = small_training(small_config(50))
    training.advance()
    usual = training.advance().lr
    training.set_learning_rate(0.005)
    assert training.advance().lr == pytest.approx(usual * 2 * 0.5)
    for wrong in (-1.0, math.nan, 11.0):
        with pytest.raises(ConfigError, match="base_lr must be from 0 to 10"):
            training.set_learning_rate(wrong)
    training.close()


def test_a_checkpoint_of_another_shape_is_refused_before_anything_changes():
    training = small_training()
    before = training.parameters_P.copy()
    tensors = dict(training.tensors())
    with pytest.raises(CheckpointError, match="lacks parameters"):
        training.restore({k: v for k, v in tensors.items() if k != "parameters"}, 1, 0.0)
    with pytest.raises(CheckpointError, match="shape"):
        training.restore({**tensors, "parameters": np.zeros(3, np.float32)}, 1, 0.0)
    training.close()
    np.testing.assert_array_equal(training.parameters_P, before)


def test_more_threads_than_sequences_are_cut_and_a_chunk_too_large_is_refused():
    training = small_training(small_config(5, batch=2, threads=8))
    assert training.threads == 2
    training.advance()
    training.close()
    with pytest.raises(ConfigError, match=r"train\.chunk must be at most"):
        small_training(small_config(5, batch=2, chunk=5))


def test_a_step_in_the_end_allocates_nothing_that_stays():
    import tracemalloc  # noqa: PLC0415

    training = small_training(small_config(400))
    for _ in range(30):
        training.advance()
    tracemalloc.start()
    for _ in range(20):
        training.advance()
    before = tracemalloc.take_snapshot()
    for _ in range(200):
        training.advance()
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    training.close()
    grown = sum(
        s.size_diff for s in after.compare_to(before, "filename") if "tracemalloc" not in str(s.traceback)
    )
    assert grown < 20_000


@pytest.mark.parametrize("dropout", [False, True])
def test_a_step_that_is_inspected_is_the_same_step(dropout):
    config = small_config(6, batch=5, threads=2, eval_every=3)
    config = with_dropout(config) if dropout else config
    _, straight_parameters = losses_of(config)
    training = small_training(config)
    events = []
    for event in train(training):
        events.append(event)
        if isinstance(event, StepDone) and event.step in {1, 2}:
            training.inspect_next()
    training.close()
    np.testing.assert_array_equal(training.parameters_P, straight_parameters)
    kinds = [type(event) for event in events]
    assert kinds.count(StepInspected) == 2
    # After the evaluation of its step, so that a run is never left between the two.
    assert kinds[kinds.index(EvalDone) - 1 : kinds.index(EvalDone) + 2] == [StepDone, EvalDone, StepInspected]


def test_norms_of_an_inspected_step_are_those_of_its_tensors():
    training = small_training(small_config(3))
    training.advance()
    before_P = training.parameters_P.copy()
    training.inspect_next()
    step = training.advance()
    found = training.inspected
    assert found is not None and found.step == step.step == 2
    model = training.config.model
    assert math.hypot(*(t.gradient_norm for t in found.tensors.values())) == pytest.approx(
        step.grad_norm, 1e-5
    )
    parts = (named_tensors(flat_P, model) for flat_P in (before_P, training.parameters_P))
    for (name, before), after in zip(next(parts).items(), next(parts).values(), strict=True):
        tensor = found.tensors[name]
        assert tensor.norm == pytest.approx(np.linalg.norm(before), rel=1e-5)
        assert tensor.update_norm == pytest.approx(np.linalg.norm(after - before), rel=1e-5)
    matrices = [t for n, t in found.tensors.items() if n.startswith("layers.0.") and n.endswith(".weight")]
    whole = found.of_layer(0)
    assert whole.update_ratio == pytest.approx(
        math.hypot(*(t.update_norm for t in matrices)) / math.hypot(*(t.norm for t in matrices))
    )
    assert len(found.streams) == len(found.layers) + 1 == model.n_layers + 1
    training.advance()
    assert training.inspected is None
    training.close()
