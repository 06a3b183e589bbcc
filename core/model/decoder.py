"""The model one token at a time, with cached keys and values.

It holds a copy of the folded parameters, so that training can change its own meanwhile. `gpt` is the
reference: both give the same logits.

A token of a small model is a hundred NumPy calls on a few hundred numbers each, so the calls are the cost:

    biases              vectors end in a one, and weights have the bias as a row
    sums of exp(q @ k)  values end in a one, too, so one product gives the sum as well
    arrays              are allocated once and written with `out=`

Scores are exponentiated as they are. If they overflow, the logits are not finite; if they all vanish, the
sum of a head's exponentials is tiny. Either way the token is computed again with each head's maximum
subtracted.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass

import msgspec
import numpy as np

from ..config import ModelConfig, Recipe
from ..errors import ModelError
from .attention import cached_attention_step
from .folding import FoldedLayer
from .gpt import Model
from .layers import LAYER_NORM_EPS, SAFE_SUM, FloatArray, IdArray, gelu_block
from .positions import KeyOrder
from .workspace import Pool, Workspace


@dataclass(frozen=True)
class _Layer:
    """One layer's weights, and two of them with the bias as a last row; G is F + 1."""

    folded: FoldedLayer
    projection_AD: FloatArray
    down_GD: FloatArray


@dataclass(frozen=True)
class _LayerState:
    """What one layer keeps of the tokens before, and its attention's output for the last one; R is S + 1.

    `unshifted_2HK` is explained by `KeyOrder.step`, the last column of `mixed_H1R` by
    `cached_attention_step`.
    """

    cache_2HTR: FloatArray
    unshifted_2HK: FloatArray
    mixed_H1R: FloatArray


class Decoder:
    """Reads up to `context` tokens at once, then continues token by token."""

    def __init__(self, config: ModelConfig, recipe: Recipe, flat_P: FloatArray) -> None:
        config = msgspec.structs.replace(config, dropout=0.0)  # folds more; see `folding`
        self.config, self.dtype = config, flat_P.dtype
        self.model = model = Model(config, recipe, flat_P)
        self._is_journal = recipe.wiring == "journal"
        self._value_residual = recipe.attention.value_residual
        self._key_order = KeyOrder.of(config, recipe.attention, flat_P.dtype)
        self._embedding_VD, self._head_AV = model.weights.embedding_VD, model.weights.head_AV
        self._layers = tuple(
            _Layer(
                w, np.vstack([w.projection_DD, w.projection_bias_D]), np.vstack([w.down_FD, w.down_bias_D])
            )
            for w in model.weights.layers
        )
        self._allocate()

    def sibling(self) -> Decoder:
        """A decoder with the same weights and its own cache, for another thread; it is cheap."""
        other = copy(self)
        other._allocate()
        return other

    def _allocate(self) -> None:
        """Allocate everything that changes as tokens are read."""
        config, dtype, d, h = self.config, self.dtype, self.config.width, self.config.n_heads
        layers, r, k = config.n_layers, config.head_size + 1, self._key_order.n_shifted
        self.position = 0
        self._workspaces: dict[tuple[int, int], Workspace] = {}
        cache_L2HTR = np.ones((layers, 2, h, config.context, r), dtype)
        mixed_LH1R = np.zeros((layers, h, 1, r), dtype)
        self._sums_LH1 = mixed_LH1R[..., -1]
        states = map(_LayerState, cache_L2HTR, np.zeros((layers, 2, h, k), dtype), mixed_LH1R)
        self._states = tuple(states)
        self._mean_D, self._reciprocal_width = np.full(d, 1 / d, dtype), 1 / d
        self._norm_A, self._mixed_A, self._hidden_G = (np.ones(n + 1, dtype) for n in (d, d, 4 * d))
        self._x_D, self._branch_D, self._qkv_3D = (np.zeros(n, dtype) for n in (d, d, 3 * d))
        self._gelu_F = np.zeros(4 * d, dtype)
        # Views: making one costs as much as a product here.
        self._norm_D, self._hidden_F = self._norm_A[:-1], self._hidden_G[:-1]
        self._mixed_H1S = self._mixed_A[:-1].reshape(h, 1, -1)
        self._qkv_3HS = self._qkv_3D.reshape(3, h, -1)
        self._first_values_HS = np.zeros_like(self._qkv_3HS[2])

    def read(self, ids_T: IdArray) -> FloatArray:
        """Clear the cache, read 1 to `context` tokens, and return the logits (V) of the next one.

        Raises: ModelError if the logits are not finite.
        """
        t, d, h = ids_T.size, self.config.width, self.config.n_heads
        ws = self._workspace(t)
        self.model.embed(ids_T, ws)
        with np.errstate(all="ignore"):
            blocks = self.model.blocks_forward(ws)
            for layer, state, cache in zip(self._layers, self._states, blocks, strict=True):
                keys_values_T2HS = cache.qkv_N3D[:, d:].reshape(t, 2, h, -1)
                state.cache_2HTR[:, :, :t, :-1] = keys_values_T2HS.transpose(1, 2, 0, 3)
                if self._key_order.n_shifted:  # the cache has it shifted
                    np.matmul(cache.norm1_NA[-1], layer.folded.qkv_A3D, out=self._qkv_3D)
                    self._key_order.step(self._qkv_3D, t - 1, state.unshifted_2HK)
            self.position = t
            self._x_D[:] = ws.x_ND[-1]
            return _require_finite(self._logits())

    def logits(self, ids_BT: IdArray) -> FloatArray:
        """The logits (B, T, V) after every token of B texts, T at most `context`; the cache is not touched.

        They lie in a workspace that the next call overwrites.

        Raises: ModelError if the logits are not finite.
        """
        b, t = ids_BT.shape
        with np.errstate(all="ignore"):
            logits_NV = self.model.forward(ids_BT.reshape(-1), self._workspace(t, b))
        return _require_finite(logits_NV).reshape(b, t, -1)

    def _workspace(self, t: int, b: int = 1) -> Workspace:
        """The workspace for `b` texts of `t` tokens; those of the last two shapes are kept."""
        if (t, b) not in self._workspaces:
            while len(self._workspaces) > 1:
                self._workspaces.pop(next(iter(self._workspaces)))
            config = msgspec.structs.replace(self.config, context=t)
            pool = Pool(self.dtype)
            self._workspaces[t, b] = Workspace(config, self.model.recipe, b, pool, training=False)
        return self._workspaces[t, b]

    def feed(self, token_id: int) -> FloatArray:
        """Read one more token; return the logits (V) of the next one.

        Raises: IndexError after `context` tokens; ModelError if the logits are not finite.
        """
        with np.errstate(all="ignore"):
            logits_V = self._step(token_id, careful=False)
            if not (math.isfinite(logits_V.dot(logits_V)) and self._sums_LH1.min() > 1 / SAFE_SUM):
                logits_V = _require_finite(self._step(token_id, careful=True))
        self.position += 1
        return logits_V

    def _step(self, token_id: int, *, careful: bool) -> FloatArray:
        layer_step = self._journal_layer if self._is_journal else self._prenorm_layer
        np.add(self._embedding_VD[token_id], self.model.positions_TD[self.position], out=self._x_D)
        for layer, state in zip(self._layers, self._states, strict=True):
            layer_step(layer, state, careful)
        return self._logits()

    def _prenorm_layer(self, layer: _Layer, state: _LayerState, careful: bool) -> None:
        x_D, branch_D = self._x_D, self._branch_D
        self._normalise()
        self._attention_branch(layer, state, careful)
        np.add(x_D, branch_D, out=x_D)
        self._normalise()
        self._feed_forward_branch(layer)
        np.add(x_D, branch_D, out=x_D)

    def _journal_layer(self, layer: _Layer, state: _LayerState, careful: bool) -> None:
        x_D, branch_D, h_D, w = self._x_D, self._branch_D, self._norm_D, layer.folded
        self._layer_norm(w.gain1_D, w.bias1_D)
        self._attention_branch(layer, state, careful)
        np.add(h_D, branch_D, out=x_D)
        self._layer_norm(w.gain2_D, w.bias2_D)
        self._feed_forward_branch(layer)
        np.add(h_D, branch_D, out=x_D)

    def _attention_branch(self, layer: _Layer, state: _LayerState, careful: bool) -> None:
        self._norm_A.dot(layer.folded.qkv_A3D, out=self._qkv_3D)
        self._key_order.step(self._qkv_3D, self.position, state.unshifted_2HK)
        if self._value_residual:
            if layer is self._layers[0]:
                np.multiply(self._qkv_3HS[2], self._value_residual, out=self._first_values_HS)
            else:
                np.add(self._qkv_3HS[2], self._first_values_HS, out=self._qkv_3HS[2])
        cached_attention_step(
            self._qkv_3HS, state.cache_2HTR, self.position, self._mixed_H1S, state.mixed_H1R, careful=careful
        )
        self._mixed_A.dot(layer.projection_AD, out=self._branch_D)

    def _feed_forward_branch(self, layer: _Layer) -> None:
        self._norm_A.dot(layer.folded.up_AF, out=self._hidden_F)
        gelu_block(self._hidden_F, self._gelu_F, self._gelu_F)
        self._hidden_G.dot(layer.down_GD, out=self._branch_D)

    def _normalise(self) -> None:
        """Divide `_x_D` by its root mean square, into `_norm_D`."""
        x_D = self._x_D
        scale = 1 / math.sqrt(x_D.dot(x_D) * self._reciprocal_width + LAYER_NORM_EPS)
        np.multiply(x_D, scale, out=self._norm_D)

    def _layer_norm(self, gain_D: FloatArray, bias_D: FloatArray) -> None:
        h_D = self._norm_D
        self._centre()
        self._normalise()
        np.multiply(h_D, gain_D, out=h_D)
        np.add(h_D, bias_D, out=h_D)

    def _centre(self) -> None:
        np.subtract(self._x_D, self._x_D.dot(self._mean_D), out=self._x_D)

    def _logits(self) -> FloatArray:
        if self._is_journal:
            self._centre()
        self._normalise()
        logits_V: FloatArray = self._norm_A.dot(self._head_AV)
        return logits_V


def _require_finite(logits_V: FloatArray) -> FloatArray:
    if not np.isfinite(logits_V).all():
        raise ModelError(
            "the model's numbers are no longer finite: it has diverged. Sample from an earlier checkpoint"
        )
    return logits_V
