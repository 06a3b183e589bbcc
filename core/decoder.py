"""The model one token at a time, with the keys and values of the tokens before it kept.

It folds its own copy of the parameters (see `folding`), so that training can go on changing them meanwhile.
`model` is the reference: both give the same logits.
"""

from __future__ import annotations

import math

import numpy as np

from .arrays import FloatArray
from .attention import cached_attention_step
from .config import ModelConfig, Recipe
from .folding import FoldedLayer
from .layers import LAYER_NORM_EPS, gelu_of_vector
from .model import Model


class Decoder:
    """Feeds tokens in order; `context` of them at most before `reset`."""

    def __init__(self, config: ModelConfig, recipe: Recipe, flat_P: FloatArray) -> None:
        self.config = config
        model = Model(config, recipe, flat_P.copy())
        self._is_journal = recipe.wiring == "journal"
        self._weights, self._positions_TD = model.weights, model.positions_TD
        self._mean_D = np.full(config.width, 1 / config.width, flat_P.dtype)
        shape = (config.n_layers, config.n_heads, config.context, config.head_size)
        self._keys_LHTS, self._values_LHTS = np.zeros(shape, flat_P.dtype), np.zeros(shape, flat_P.dtype)
        self.position = 0

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
        w, t = self._weights, self.position
        x_D = w.embedding_VD[token_id] + self._positions_TD[t]
        for i, layer in enumerate(w.layers):
            step = self._journal_step if self._is_journal else self._prenorm_step
            x_D = step(layer, x_D, self._keys_LHTS[i], self._values_LHTS[i])
        self.position = t + 1
        xhat_D = self._rms_norm(self._centred(x_D) if self._is_journal else x_D)
        logits_V: FloatArray = xhat_D @ w.head_AV[:-1] + w.head_AV[-1]
        return logits_V

    def _prenorm_step(
        self, w: FoldedLayer, x_D: FloatArray, keys_HTS: FloatArray, values_HTS: FloatArray
    ) -> FloatArray:
        x_D = x_D + self._attention_branch(w, self._rms_norm(x_D), keys_HTS, values_HTS)
        return x_D + _feed_forward_branch(w, self._rms_norm(x_D))

    def _journal_step(
        self, w: FoldedLayer, x_D: FloatArray, keys_HTS: FloatArray, values_HTS: FloatArray
    ) -> FloatArray:
        h_D = self._rms_norm(self._centred(x_D)) * w.gain1_D + w.bias1_D
        x_D = h_D + self._attention_branch(w, h_D, keys_HTS, values_HTS)
        x_D = self._rms_norm(self._centred(x_D)) * w.gain2_D + w.bias2_D
        return x_D + _feed_forward_branch(w, x_D)

    def _attention_branch(
        self, w: FoldedLayer, norm_D: FloatArray, keys_HTS: FloatArray, values_HTS: FloatArray
    ) -> FloatArray:
        qkv_3D = norm_D @ w.qkv_A3D[:-1] + w.qkv_A3D[-1]
        mixed_D = cached_attention_step(qkv_3D, keys_HTS, values_HTS, self.position)
        return mixed_D @ w.projection_DD + w.projection_bias_D

    def _centred(self, x_D: FloatArray) -> FloatArray:
        centred_D: FloatArray = x_D - x_D.dot(self._mean_D)
        return centred_D

    def _rms_norm(self, x_D: FloatArray) -> FloatArray:
        xhat_D: FloatArray = x_D * (1 / math.sqrt(x_D.dot(x_D) / x_D.size + LAYER_NORM_EPS))
        return xhat_D


def _feed_forward_branch(w: FoldedLayer, norm_D: FloatArray) -> FloatArray:
    hidden_F = gelu_of_vector(norm_D @ w.up_AF[:-1] + w.up_AF[-1])
    return hidden_F @ w.down_FD + w.down_bias_D
