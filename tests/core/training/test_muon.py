"""Muon: updates are orthogonal, each matrix is taken on its own, and everything else is AdamW's."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from torch_reference import recipe

from femtotui.core.config import AdamWConfig, ModelConfig, MuonConfig, Recipe, ScheduleConfig
from femtotui.core.model.parameters import named_tensors, parameter_table
from femtotui.core.training.optimizers import (
    AdamW,
    Muon,
    Orthogonaliser,
    gradient_norm,
    make_optimizer,
    stacks_of,
    uses_muon,
)

MODEL = ModelConfig(n_layers=3, width=8, n_heads=2, context=4, vocab_size=9)
TABLE = parameter_table(MODEL)
FLOAT64 = np.dtype(np.float64)


def share(work, n):
    for i in range(n):
        work(i)


def room_for(*shape: int) -> Orthogonaliser:
    return Orthogonaliser(*shape, np.zeros(Orthogonaliser.size(*shape)))


def muon_recipe(**muon) -> Recipe:
    optimizer = MuonConfig(adamw=AdamWConfig(weight_decay=0.0), **muon)
    return msgspec.structs.replace(
        recipe("prenorm"), optimizer=optimizer, schedule=ScheduleConfig(base_lr=1e-3, min_lr=0.0)
    )


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 8, 8), (2, 6, 24)])
def test_singular_values_go_where_the_polynomial_sends_them_and_directions_stay(shape):
    room = room_for(*shape)
    x = np.random.default_rng(0).normal(size=shape)
    room.x_KMN[...] = x
    for before, after in zip(x, room.run(5), strict=True):
        u, values, vt = np.linalg.svd(before, full_matrices=False)
        expected = values / np.linalg.norm(values)
        large = expected > 0.01
        for _ in range(5):
            expected = 3.4445 * expected - 4.7750 * expected**3 + 2.0315 * expected**5
        in_its_own_directions = u.T @ after @ vt.T
        np.testing.assert_allclose(in_its_own_directions, np.diag(expected), rtol=1e-5, atol=1e-7)
        assert ((expected[large] > 0.6) & (expected[large] < 1.3)).all()


def test_a_gradient_of_zeros_stays_zero():
    room = room_for(2, 3, 5)
    assert not room.run(5).any()


def test_every_matrix_inside_a_layer_is_in_one_stack_once():
    flat = np.arange(MODEL.n_parameters, dtype=float)
    seen = [stack.of(flat).reshape(-1) for stack in stacks_of(MODEL, range(MODEL.n_layers))]
    matrices = [flat[p.offset : p.offset + p.size] for p in TABLE if uses_muon(p)]
    assert sorted(np.concatenate(seen)) == sorted(np.concatenate(matrices))
    assert {p.name.split(".", 2)[2] for p in TABLE if uses_muon(p)} == {
        "attention.qkv.weight",
        "attention.projection.weight",
        "feed_forward.up.weight",
        "feed_forward.down.weight",
    }


def one_step(optimizer, gradient):
    parameters = np.zeros(MODEL.n_parameters)
    optimizer.step(parameters, gradient.copy(), gradient_norm(gradient, share), 1e-3, share)
    return named_tensors(parameters, MODEL)


def test_the_first_update_is_each_matrix_orthogonalised_on_its_own():
    """Queries, keys and values apart; scaled by sqrt(outputs / inputs) where there are more outputs."""
    gradient = np.random.default_rng(1).normal(size=MODEL.n_parameters)
    updates = one_step(make_optimizer(MODEL, muon_recipe(lr=0.02), 2, FLOAT64), gradient)
    named = named_tensors(gradient, MODEL)
    d = MODEL.width
    for layer in range(MODEL.n_layers):
        prefix = f"layers.{layer}."
        qkv, dqkv = updates[prefix + "attention.qkv.weight"], named[prefix + "attention.qkv.weight"]
        pairs = [(qkv[:, i * d : (i + 1) * d], dqkv[:, i * d : (i + 1) * d], 1.0) for i in range(3)]
        for kind, scale in (
            ("attention.projection", 1.0),
            ("feed_forward.up", 2.0),
            ("feed_forward.down", 1.0),
        ):
            pairs.append((updates[f"{prefix}{kind}.weight"], named[f"{prefix}{kind}.weight"], scale))
        for update, its_gradient, scale in pairs:
            transposed = its_gradient.shape[0] > its_gradient.shape[1]
            room = room_for(1, *sorted(its_gradient.shape))
            room.x_KMN[0] = its_gradient.T if transposed else its_gradient
            expected = room.run(5)[0]
            np.testing.assert_allclose(
                update, -0.02 * scale * (expected.T if transposed else expected), rtol=1e-5, atol=1e-9
            )


def test_everything_else_moves_as_under_adamw():
    gradient = np.random.default_rng(2).normal(size=MODEL.n_parameters)
    ours = one_step(make_optimizer(MODEL, muon_recipe(), 1, FLOAT64), gradient)
    theirs = one_step(AdamW(TABLE, MODEL.n_parameters, AdamWConfig(weight_decay=0.0), FLOAT64), gradient)
    for parameter in TABLE:
        same = np.array_equal(ours[parameter.name], theirs[parameter.name])
        assert same != uses_muon(parameter), parameter.name


def test_momentum_in_nesterovs_form():
    """Two steps by hand for one matrix."""
    rng = np.random.default_rng(3)
    gradients = [rng.normal(size=MODEL.n_parameters) for _ in range(2)]
    optimizer = make_optimizer(MODEL, muon_recipe(momentum=0.9), 1, FLOAT64)
    parameters = np.zeros(MODEL.n_parameters)
    for gradient in gradients:
        optimizer.step(parameters, gradient.copy(), gradient_norm(gradient, share), 1e-3, share)
    name = "layers.1.attention.projection.weight"
    g1, g2 = (named_tensors(g, MODEL)[name] for g in gradients)
    expected = np.zeros_like(g1)
    for direction in (1.9 * g1, g2 + 0.9 * (0.9 * g1 + g2)):
        room = room_for(1, *g1.shape)
        room.x_KMN[0] = direction
        expected -= 0.02 * room.run(5)[0]
    np.testing.assert_allclose(named_tensors(parameters, MODEL)[name], expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_threads_change_no_bit(threads):
    gradient = np.random.default_rng(4).normal(size=MODEL.n_parameters).astype(np.float32)
    results = []
    for n in (1, threads):
        optimizer = make_optimizer(MODEL, muon_recipe(), n, np.dtype(np.float32))
        parameters = np.ones(MODEL.n_parameters, np.float32)
        for _ in range(3):
            optimizer.step(parameters, gradient.copy(), gradient_norm(gradient, share), 1e-3, share)
        results.append(parameters)
    np.testing.assert_array_equal(*results)


def test_the_rate_follows_the_schedule_and_clipping_and_decay_act():
    gradient = np.random.default_rng(5).normal(size=MODEL.n_parameters)
    name = "layers.0.feed_forward.up.weight"

    def size_of_update(lr, **muon):
        optimizer = make_optimizer(MODEL, muon_recipe(**muon), 1, FLOAT64)
        parameters = np.ones(MODEL.n_parameters)
        optimizer.step(parameters, gradient.copy(), gradient_norm(gradient, share), lr, share)
        return named_tensors(1 - parameters, MODEL)[name]

    np.testing.assert_allclose(size_of_update(5e-4), size_of_update(1e-3) / 2, rtol=1e-9)
    decayed = size_of_update(1e-3, weight_decay=0.5)
    np.testing.assert_allclose(decayed - size_of_update(1e-3), 0.02 * 0.5, rtol=1e-6)
    assert isinstance(make_optimizer(MODEL, muon_recipe(), 1, FLOAT64), Muon)
