"""What happens inside a model, measured on a few sequences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..config import ModelConfig, Recipe
from .gpt import Model
from .layers import FloatArray, IdArray
from .workspace import Pool, Workspace


class StreamStatistics(NamedTuple):
    """The residual stream at one depth, means over tokens of rows less their mean.

    `rms` is the root mean square. `carrying` is the number of coordinates that carry a row, its participation
    ratio (sum of squares)^2 / sum of fourth powers: the width if all are equally large, 1 if one is all.
    """

    rms: float
    carrying: float


def stream_by_depth(
    config: ModelConfig, recipe: Recipe, flat_P: FloatArray, ids_BT: IdArray
) -> list[StreamStatistics]:
    """The residual stream of texts as long as the context: after the embedding, and after each layer."""
    model = Model(config, recipe, flat_P)
    ws = Workspace(config, recipe, len(ids_BT), Pool(flat_P.dtype), training=False)
    model.embed(ids_BT.reshape(-1), ws)
    return [_statistics(ws.x_ND), *(_statistics(ws.x_ND) for _ in model.blocks_forward(ws))]


def _statistics(x_ND: FloatArray) -> StreamStatistics:
    squares_ND = np.square(x_ND - x_ND.mean(axis=1, keepdims=True), dtype=np.float64)
    carrying_N = squares_ND.sum(axis=1) ** 2 / np.square(squares_ND).sum(axis=1)
    return StreamStatistics(float(np.sqrt(squares_ND.mean())), float(carrying_N.mean()))
