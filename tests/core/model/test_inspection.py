"""What is read inside a model: against the independent reference, and where it is known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from femtotui.core.config import ModelConfig
from femtotui.core.model.gpt import Model
from femtotui.core.model.inspection import (
    inspect_batch,
    inspect_text,
    stream_by_depth,
    stream_statistics,
)
from femtotui.core.model.parameters import initial_parameters, named_tensors
from femtotui.core.model.workspace import Pool, Workspace
from femtotui.presets import load_recipe


def test_coordinates_that_carry_a_row_are_counted() -> None:
    even, one, two = np.zeros((3, 64))
    even[::2], even[1::2], one[0], two[:2] = 1, -1, 64, (3, -3)
    found = [stream_statistics(row[None]) for row in (even, one, two)]
    assert [f.carrying for f in found] == pytest.approx([64, 1, 2], rel=0.04)
    assert found[0].rms == pytest.approx(1)


@pytest.mark.parametrize("recipe", ["journal", "modern"])
def test_the_last_depth_is_the_stream_that_the_final_norm_reads(recipe: str) -> None:
    config, its_recipe = (
        ModelConfig(n_layers=3, width=16, n_heads=2, context=8, vocab_size=20),
        load_recipe(recipe),
    )
    flat = initial_parameters(config, its_recipe.init, 0)
    ids = np.random.default_rng(0).integers(0, 20, (4, 8)).astype(np.int32)
    found = stream_by_depth(config, its_recipe, flat, ids)
    ws = Workspace(config, its_recipe, 4, Pool(flat.dtype), training=False)
    Model(config, its_recipe, flat).forward(ids.reshape(-1), ws)
    last = stream_statistics(ws.x_ND)
    assert len(found) == 4
    assert (found[-1].rms, found[-1].carrying) == pytest.approx((last.rms, last.carrying), rel=1e-5)


def test_random_gains_leave_the_stream_to_a_few_coordinates_and_gains_of_one_do_not() -> None:
    config = ModelConfig(n_layers=6, width=64, n_heads=4, context=64, vocab_size=256)
    ids = np.random.default_rng(0).integers(97, 117, (4, 64)).astype(np.int32)
    near_0, at_1 = (
        stream_by_depth(config, recipe, initial_parameters(config, recipe.init, 0), ids)
        for recipe in (load_recipe("journal"), load_recipe("journal-gains-1"))
    )
    assert near_0[0].carrying > 20 and max(depth.carrying for depth in near_0[2:]) < 10
    assert min(depth.carrying for depth in at_1) > 20
    assert near_0[-1].rms == pytest.approx(near_0[1].rms, rel=0.5)  # it does not shrink with depth


def test_attention_and_lens_equal_the_reference(reference):
    model = Model(reference.config, reference.recipe, reference.parameters_P)
    for row, ids_T in enumerate(reference.ids_SBT[0]):
        found = inspect_text(model, ids_T)
        expected_LHTT = reference["inside/attention"][:, row]
        np.testing.assert_allclose(found.attention_LHTT, expected_LHTT, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(found.attention_LHTT.sum(axis=-1), 1, rtol=1e-13)
        for t in range(ids_T.size):
            lens_KV = reference["inside/lens"][:, row, t]
            np.testing.assert_allclose(found.lens(t), lens_KV, rtol=1e-10, atol=1e-11)
            np.testing.assert_allclose(found.lens(t)[-1], reference["logits"][row, t], rtol=1e-10, atol=1e-11)


def test_a_text_shorter_than_the_context_is_the_beginning_of_a_longer_one(reference):
    model, ids_T = (
        Model(reference.config, reference.recipe, reference.parameters_P),
        reference.ids_SBT[0][0],
    )
    whole, part = inspect_text(model, ids_T), inspect_text(model, ids_T[:3])
    np.testing.assert_allclose(
        part.attention_LHTT, whole.attention_LHTT[:, :, :3, :3], rtol=1e-11, atol=1e-14
    )
    np.testing.assert_allclose(part.streams_KTD, whole.streams_KTD[:, :3], rtol=1e-11, atol=1e-13)


def test_streams_their_gradients_and_entropies_equal_the_reference(reference):
    model = Model(reference.config, reference.recipe, reference.parameters_P)
    streams, layers = inspect_batch(model, reference.ids_SBT[0], reference.targets_SBT[0], 0, 0)
    centred = reference["inside/streams"] - reference["inside/streams"].mean(axis=-1, keepdims=True)
    powers = [(centred**n).sum(axis=-1) for n in (2, 4)]
    expected = {
        "rms": np.sqrt((centred**2).mean(axis=(1, 2, 3))),
        "carrying": (powers[0] ** 2 / powers[1]).mean(axis=(1, 2)),
        "gradient_rms": np.sqrt((reference["inside/stream_gradients"] ** 2).mean(axis=(1, 2, 3))),
    }
    for name, values_K in expected.items():
        assert [getattr(stream, name) for stream in streams] == pytest.approx(values_K, rel=1e-10)
    weights = reference["inside/attention"]
    bits = -(weights * np.log2(weights, where=weights > 0, out=np.zeros_like(weights))).sum(axis=-1)
    expected_LH = bits.mean(axis=(1, 3))
    assert [layer.entropies for layer in layers] == [pytest.approx(row, rel=1e-10) for row in expected_LH]


def test_units_that_never_fire_or_always_do_are_counted():
    config, recipe = (
        ModelConfig(n_layers=2, width=16, n_heads=2, context=8, vocab_size=20),
        load_recipe("modern"),
    )
    flat = initial_parameters(config, recipe.init, 0)
    bias_F = named_tensors(flat, config)["layers.1.feed_forward.up.bias"]
    bias_F[:16], bias_F[16:24] = -100, 100
    ids_BT = np.random.default_rng(0).integers(0, 20, (64, 8)).astype(np.int32)
    _, (first, second) = inspect_batch(Model(config, recipe, flat), ids_BT, ids_BT, 0, 0)
    assert (first.silent, first.open) == (0, 0)
    assert (second.silent, second.open) == (16 / 64, 8 / 64)
