"""The model one token at a time, with the keys and values of the tokens before it kept.

It works on its own copy of the parameters, with all that is constant in them folded together beforehand: the
attention scale into the queries, and each norm's gain and bias into the weights that follow it, where nothing
else reads the norm's output. `model` is the reference: both give the same logits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .arrays import FloatArray
from .attention import cached_attention_step
from .config import ModelConfig, Recipe
from .layers import LAYER_NORM_EPS, gelu_of_vector
from .parameters import LayerTensors, Tensors, position_table


@dataclass(frozen=True)
class _Layer:
    """One layer's weights as the step uses them. The norms' own are for the journal's wiring only."""

    qkv_D3D: FloatArray
    qkv_bias_3D: FloatArray
    projection_DD: FloatArray
    projection_bias_D: FloatArray
    up_DF: FloatArray
    up_bias_F: FloatArray
    down_FD: FloatArray
    down_bias_D: FloatArray
    gain1_D: FloatArray
    bias1_D: FloatArray
    gain2_D: FloatArray
    bias2_D: FloatArray


class Decoder:
    """Feeds tokens in order; `context` of them at most before `reset`."""

    def __init__(self, config: ModelConfig, recipe: Recipe, flat_P: FloatArray) -> None:
        self.config = config
        self._is_journal = recipe.wiring == "journal"
        p = Tensors.of(flat_P.copy(), config)
        dtype = flat_P.dtype
        self._embedding_VD = p.embedding_VD
        self._positions_TD = position_table(config, recipe.init.position_amplitude).astype(dtype)
        self._layers = [self._folded(layer) for layer in p.layers]
        self._head_DV = p.gain_D[:, None] * p.head_DV
        self._head_bias_V = p.bias_D @ p.head_DV + p.head_bias_V
        shape = (config.n_layers, config.n_heads, config.context, config.head_size)
        self._keys_LHTS, self._values_LHTS = np.zeros(shape, dtype), np.zeros(shape, dtype)
        self.position = 0

    def _folded(self, layer: LayerTensors) -> _Layer:
        d = self.config.width
        qkv_D3D, up_DF = layer.qkv_D3D.copy(), layer.up_DF
        qkv_D3D[:, :d] /= math.sqrt(self.config.head_size)
        qkv_bias_3D, up_bias_F = np.zeros(3 * d, qkv_D3D.dtype), layer.up_bias_F
        if not self._is_journal:
            qkv_bias_3D = layer.bias1_D @ qkv_D3D
            qkv_D3D *= layer.gain1_D[:, None]
            up_bias_F = up_bias_F + layer.bias2_D @ up_DF
            up_DF = layer.gain2_D[:, None] * up_DF
        return _Layer(
            qkv_D3D,
            qkv_bias_3D,
            layer.projection_DD,
            layer.projection_bias_D,
            up_DF,
            up_bias_F,
            layer.down_FD,
            layer.down_bias_D,
            layer.gain1_D,
            layer.bias1_D,
            layer.gain2_D,
            layer.bias2_D,
        )

    def reset(self) -> None:
        """Forget all tokens."""
        self.position = 0

    def feed(self, token_id: int) -> FloatArray:
        """Take one more token; return the logits (V) of the one after it.

        Raises
        ------
        IndexError
            When `context` tokens are in already.
        """
        t = self.position
        x_D = self._embedding_VD[token_id] + self._positions_TD[t]
        for i, layer in enumerate(self._layers):
            keys_HTS, values_HTS = self._keys_LHTS[i], self._values_LHTS[i]
            x_D = self._layer_step(layer, x_D, keys_HTS, values_HTS, t)
        self.position = t + 1
        return _xhat(x_D) @ self._head_DV + self._head_bias_V

    def _layer_step(
        self, layer: _Layer, x_D: FloatArray, keys_HTS: FloatArray, values_HTS: FloatArray, t: int
    ) -> FloatArray:
        norm_D = _xhat(x_D)
        if self._is_journal:
            norm_D = x_D = norm_D * layer.gain1_D + layer.bias1_D
        qkv_3D = norm_D @ layer.qkv_D3D + layer.qkv_bias_3D
        mixed_D = cached_attention_step(qkv_3D, keys_HTS, values_HTS, t)
        x_D = x_D + (mixed_D @ layer.projection_DD + layer.projection_bias_D)
        norm_D = _xhat(x_D)
        if self._is_journal:
            norm_D = x_D = norm_D * layer.gain2_D + layer.bias2_D
        hidden_F = gelu_of_vector(norm_D @ layer.up_DF + layer.up_bias_F)
        return x_D + (hidden_F @ layer.down_FD + layer.down_bias_D)


def _xhat(x_D: FloatArray) -> FloatArray:
    """A row's layer norm, before gain and bias."""
    centred_D = x_D - x_D.dot(np.ones_like(x_D)) / x_D.size
    return centred_D * (1 / math.sqrt(centred_D.dot(centred_D) / x_D.size + LAYER_NORM_EPS))
