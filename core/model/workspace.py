"""The arrays that one thread needs for a chunk of sequences, allocated once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import ModelConfig, Recipe, Wiring
from .attention import AttentionShape
from .folding import centres_weights
from .layers import GELU_BLOCK, FloatArray, dropout_mask
from .positions import KeyOrder

CACHE_LINE = 64


class Pool:
    """Allocates arrays; after `rewind`, reuses their memory in the same order for smaller shapes.

    A batch that does not divide evenly ends in a smaller chunk, which uses the larger one's memory.
    """

    def __init__(self, dtype: np.dtype[np.floating[Any]]) -> None:
        self.dtype = dtype
        self._blocks: list[FloatArray] = []
        self._next = 0

    def rewind(self) -> None:
        self._next = 0

    def allocate(self, *shape: int) -> FloatArray:
        """An uninitialised array that starts on a cache line."""
        size = math.prod(shape)
        if self._next == len(self._blocks):
            self._blocks.append(self._aligned(size))
        block = self._blocks[self._next]
        self._next += 1
        return block[:size].reshape(shape)

    def allocate_with_ones(self, n: int, d: int) -> FloatArray:
        """An array (n, d + 1) whose last column is 1; rows start on cache lines if `d` fills whole ones."""
        wide = self.allocate(n, d + CACHE_LINE // self.dtype.itemsize)
        wide[:, d] = 1
        return wide[:, : d + 1]

    def _aligned(self, size: int) -> FloatArray:
        per_line = CACHE_LINE // self.dtype.itemsize
        block = np.zeros(size + per_line, self.dtype)
        start = -block.ctypes.data % CACHE_LINE // self.dtype.itemsize
        return block[start : start + size]


@dataclass(frozen=True)
class LayerCache:
    """One layer's activations that its backward needs.

    `norm1_NA` and `norm2_NA` are the norms' outputs with a column of ones; in the prenorm wiring that is
    `xhat` itself, see `folding`. `is_large_1` is what `attention_forward` returned.
    """

    xhat1_ND: FloatArray
    rrms1_N: FloatArray
    norm1_NA: FloatArray
    qkv_N3D: FloatArray
    exp_BHTT: FloatArray
    reciprocal_NH: FloatArray
    is_large_1: NDArray[np.bool_]
    mixed_ND: FloatArray
    xhat2_ND: FloatArray
    rrms2_N: FloatArray
    norm2_NA: FloatArray
    hidden_NF: FloatArray
    dgelu_NF: FloatArray
    masks: DropoutMasks | None


@dataclass(frozen=True)
class DropoutMasks:
    """One layer's masks; see `layers.dropout_mask`."""

    attention_BHTT: FloatArray
    projection_ND: FloatArray
    down_ND: FloatArray


class Workspace:
    """Arrays for `b` sequences. Without `training` all layers share one cache, and there is no backward."""

    def __init__(self, config: ModelConfig, recipe: Recipe, b: int, pool: Pool, *, training: bool) -> None:
        pool.rewind()
        t, d, h, v = config.context, config.width, config.n_heads, config.vocab_size
        n = b * t
        dtype = pool.dtype
        self.b, self.n = b, n
        self.attention_shape = AttentionShape.of(h, config.head_size, t, dtype)
        self.key_order = KeyOrder.of(config, recipe.attention, dtype)
        self.mean_D, self.ones_V, self.ones_N = np.full(d, 1 / d, dtype), np.ones(v, dtype), np.ones(n, dtype)
        self.rows_N: NDArray[np.intp] = np.arange(n)
        self.x_ND, self.y_ND, self.work_ND = (pool.allocate(n, d) for _ in range(3))
        self.norm_NA, self.rrms_N = pool.allocate_with_ones(n, d), pool.allocate(n)
        self.xhat_ND = self.norm_NA[:, :-1]
        self.logits_NV, self.sums_N, self.row_N = pool.allocate(n, v), pool.allocate(n), pool.allocate(n)
        self.work_NH, self.work_BHTT = pool.allocate(n, h), pool.allocate(b, h, t, t)
        self.gelu_2W = pool.allocate(2, GELU_BLOCK)
        n_caches = config.n_layers if training else 1
        kept = [_layer_cache(config, recipe.wiring, b, pool, training=training) for _ in range(n_caches)]
        self.layers = tuple(kept[i % n_caches] for i in range(config.n_layers))
        self.centres_stream = recipe.wiring == "prenorm" and not centres_weights(config, recipe.wiring)
        self.value_residual = recipe.attention.value_residual
        mixes_values = self.value_residual > 0 and config.n_layers > 1
        self.first_values_ND = pool.allocate(n, d) if mixes_values else None
        self.dfirst_values_ND = pool.allocate(n, d) if mixes_values and training else None
        self.embedding_mask_ND = pool.allocate(n, d) if training and config.dropout else None
        if training:
            self.dx_ND, self.dnorm_ND = pool.allocate(n, d), pool.allocate(n, d)
            self.scaled_NA = pool.allocate(n, d + 1)
            self.dqkv_N3D, self.dhidden_NF = pool.allocate(n, 3 * d), pool.allocate(n, 4 * d)
            self.spare_W = pool.allocate(max(4 * d * (d + 1), (d + 1) * v))


def _layer_cache(config: ModelConfig, wiring: Wiring, b: int, pool: Pool, *, training: bool) -> LayerCache:
    t, d, h = config.context, config.width, config.n_heads
    n = b * t
    norm1_NA, norm2_NA = pool.allocate_with_ones(n, d), pool.allocate_with_ones(n, d)
    is_journal = wiring == "journal"
    return LayerCache(
        xhat1_ND=pool.allocate(n, d) if is_journal else norm1_NA[:, :-1],
        rrms1_N=pool.allocate(n),
        norm1_NA=norm1_NA,
        qkv_N3D=pool.allocate(n, 3 * d),
        exp_BHTT=pool.allocate(b, h, t, t),
        reciprocal_NH=pool.allocate(n, h),
        is_large_1=np.zeros(1, bool),
        mixed_ND=pool.allocate(n, d),
        xhat2_ND=pool.allocate(n, d) if is_journal else norm2_NA[:, :-1],
        rrms2_N=pool.allocate(n),
        norm2_NA=norm2_NA,
        hidden_NF=pool.allocate(n, 4 * d),
        dgelu_NF=pool.allocate(n if training else 0, 4 * d),
        masks=(
            DropoutMasks(pool.allocate(b, h, t, t), pool.allocate(n, d), pool.allocate(n, d))
            if training and config.dropout
            else None
        ),
    )


def draw_masks(ws: Workspace, dropout: float, seed: int, step: int, first_sequence: int) -> None:
    """Draw the dropout masks in `ws`, whose first sequence is number `first_sequence` of the batch."""
    if ws.embedding_mask_ND is None:
        return
    masks = [ws.embedding_mask_ND]
    for cache in ws.layers:
        if cache.masks is not None:
            masks += [cache.masks.attention_BHTT, cache.masks.projection_ND, cache.masks.down_ND]
    per_sequence = [mask.reshape(ws.b, -1) for mask in masks]
    for i in range(ws.b):
        bits = np.random.Philox(key=[seed, 2], counter=[0, 0, first_sequence + i, step])
        rng = np.random.Generator(bits)
        for mask in per_sequence:
            rng.random(out=mask[i], dtype=mask.dtype.type)
    for mask in per_sequence:
        dropout_mask(mask, dropout)
