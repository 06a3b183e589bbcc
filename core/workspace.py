"""Every array that one thread needs to push a chunk of sequences through the model and back, allocated once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import FloatArray
from .attention import AttentionShape
from .config import ModelConfig
from .layers import GELU_BLOCK

CACHE_LINE = 64


class Pool:
    """Hands out arrays; after `rewind`, the same memory again in the same order, for smaller shapes.

    A batch that does not divide evenly ends in a smaller chunk, which works in the larger one's memory.
    """

    def __init__(self, dtype: np.dtype[np.floating[Any]]) -> None:
        self.dtype = dtype
        self._blocks: list[FloatArray] = []
        self._next = 0

    def rewind(self) -> None:
        self._next = 0

    def take(self, *shape: int) -> FloatArray:
        """An array that starts on a cache line; its contents are whatever was there."""
        size = math.prod(shape)
        if self._next == len(self._blocks):
            self._blocks.append(self._aligned(size))
        block = self._blocks[self._next]
        self._next += 1
        return block[:size].reshape(shape)

    def _aligned(self, size: int) -> FloatArray:
        per_line = CACHE_LINE // self.dtype.itemsize
        block = np.zeros(size + per_line, self.dtype)
        start = -block.ctypes.data % CACHE_LINE // self.dtype.itemsize
        return block[start : start + size]


@dataclass(frozen=True)
class LayerCache:
    """What one layer's forward keeps for its backward. `norm1_ND` and `norm2_ND` are the norms' outputs."""

    xhat1_ND: FloatArray
    rstd1_N: FloatArray
    norm1_ND: FloatArray
    qkv_N3D: FloatArray
    exp_BHTT: FloatArray
    reciprocal_NH: FloatArray
    mixed_ND: FloatArray
    xhat2_ND: FloatArray
    rstd2_N: FloatArray
    norm2_ND: FloatArray
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
    """Room for `b` sequences. Without `training`, layers share one cache and there is nothing for a backward."""

    def __init__(self, config: ModelConfig, b: int, pool: Pool, *, training: bool) -> None:
        pool.rewind()
        t, d, h, v = config.context, config.width, config.n_heads, config.vocab_size
        n = b * t
        dtype = pool.dtype
        self.b, self.n = b, n
        self.attention_shape = AttentionShape.of(h, config.head_size, t, dtype)
        self.mean_D, self.ones_V, self.ones_N = np.full(d, 1 / d, dtype), np.ones(v, dtype), np.ones(n, dtype)
        self.rows_N: NDArray[np.intp] = np.arange(n)
        self.x_ND, self.y_ND, self.work_ND = (pool.take(n, d) for _ in range(3))
        self.xhat_ND, self.rstd_N, self.norm_ND = pool.take(n, d), pool.take(n), pool.take(n, d)
        self.logits_NV, self.sums_N, self.row_N = pool.take(n, v), pool.take(n), pool.take(n)
        self.work_NH, self.work_BHTT = pool.take(n, h), pool.take(b, h, t, t)
        self.gelu_2W = pool.take(2, GELU_BLOCK)
        n_caches = config.n_layers if training else 1
        kept = [_layer_cache(config, b, pool, training=training) for _ in range(n_caches)]
        self.layers = tuple(kept[i % n_caches] for i in range(config.n_layers))
        self.embedding_mask_ND = pool.take(n, d) if training and config.dropout else None
        if training:
            self.dx_ND, self.dy_ND = pool.take(n, d), pool.take(n, d)
            self.dqkv_N3D, self.dhidden_NF = pool.take(n, 3 * d), pool.take(n, 4 * d)
            self.spare_W = pool.take(max(4 * d * d, d * v))


def _layer_cache(config: ModelConfig, b: int, pool: Pool, *, training: bool) -> LayerCache:
    t, d, h = config.context, config.width, config.n_heads
    n = b * t
    return LayerCache(
        xhat1_ND=pool.take(n, d),
        rstd1_N=pool.take(n),
        norm1_ND=pool.take(n, d),
        qkv_N3D=pool.take(n, 3 * d),
        exp_BHTT=pool.take(b, h, t, t),
        reciprocal_NH=pool.take(n, h),
        mixed_ND=pool.take(n, d),
        xhat2_ND=pool.take(n, d),
        rstd2_N=pool.take(n),
        norm2_ND=pool.take(n, d),
        hidden_NF=pool.take(n, 4 * d),
        dgelu_NF=pool.take(n if training else 0, 4 * d),
        masks=(
            DropoutMasks(pool.take(b, h, t, t), pool.take(n, d), pool.take(n, d))
            if training and config.dropout
            else None
        ),
    )
