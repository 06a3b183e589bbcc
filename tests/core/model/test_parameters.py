"""How parameters start: the spread that a recipe asks for, the same bits from the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from femtotui.core.config import Initialisation, ModelConfig
from femtotui.core.model.parameters import initial_parameters, named_tensors

MODEL = ModelConfig(n_layers=4, width=32, n_heads=2, context=8, vocab_size=100)


def spreads(init: Initialisation) -> dict[str, float]:
    tensors = named_tensors(initial_parameters(MODEL, init, 0), MODEL)
    return {name: float(tensor.std()) for name, tensor in tensors.items()}


def test_the_journals_start_draws_gains_like_matrices():
    init = Initialisation(gain="normal", scale_residual=False)
    found = spreads(init)
    for name in ("layers.0.attention.qkv.weight", "layers.3.feed_forward.down.weight", "head.weight"):
        assert found[name] == pytest.approx(0.02, rel=0.1)
    assert found["layers.1.norm1.gain"] == pytest.approx(0.02, rel=0.5)
    assert found["layers.1.norm1.bias"] == found["head.bias"] == 0


def test_a_modern_start_has_gains_of_one_and_smaller_writers_to_the_stream():
    init = Initialisation(matrix_std=0.07, embedding_std=0.05, scale_by_width=True)
    found = spreads(init)
    by_width = 0.07 * np.sqrt(64 / MODEL.width)
    assert found["layers.0.feed_forward.up.weight"] == pytest.approx(by_width, rel=0.1)
    assert found["layers.0.feed_forward.down.weight"] == pytest.approx(by_width / np.sqrt(8), rel=0.1)
    assert found["token_embedding.weight"] == pytest.approx(0.05, rel=0.1)
    assert found["final_norm.gain"] == 0


def test_the_same_seed_gives_the_same_bits():
    first, again, other = (initial_parameters(MODEL, Initialisation(), seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9
