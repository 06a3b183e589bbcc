"""The statistics of the residual stream, against rows of which they are known."""

from __future__ import annotations

import numpy as np
import pytest

from femtotui.core.config import ModelConfig
from femtotui.core.model.gpt import Model
from femtotui.core.model.inspection import _stream_statistics, stream_by_depth
from femtotui.core.model.parameters import initial_parameters
from femtotui.core.model.workspace import Pool, Workspace
from femtotui.presets import load_recipe


def test_coordinates_that_carry_a_row_are_counted() -> None:
    even, one, two = np.zeros((3, 64))
    even[::2], even[1::2], one[0], two[:2] = 1, -1, 64, (3, -3)
    found = [_stream_statistics(row[None]) for row in (even, one, two)]
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
    last = _stream_statistics(ws.x_ND)
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
