"""Folding: linear operations around a product are applied to its weight, once per step.

A step touches each weight once, but each activation N times. So everything that can be applied to the weights
is, and the gradient is brought back to the parameters afterwards:

    queries      q = x @ W                     the attention scale 1/sqrt(S) goes into W
    values       v = (1-a) x @ W + a v1        the factor goes into W; v1 are the first layer's values
    biases       x @ W + b                     = [x, 1] @ [W; b]: activations carry a column of ones
    GELU         its argument scaled by a, its result by 1/(2a): see `layers.gelu_forward`

In the prenorm wiring the layer norms dissolve as well. LN(x) = rms(x C) * gain + bias, where C = I - 1/D
subtracts a row's mean and rms() divides it by its root mean square:

    gain, bias   (xhat * gain + bias) @ W      = [xhat, 1] @ [gain[:, None] * W; bias @ W]
    centring     the residual stream is only read through LN, so its mean has no effect. Everything written to
                 it is centred beforehand: embedding @ C, positions @ C, projection @ C, down @ C

Under dropout a mask comes between those products and the stream, and the mask of a centred row is not
centred. Then the weights stay as they are, and what was masked is centred before it is added to the stream.

What remains of a norm is rms(), half the work. In the journal's wiring the stream itself passes through both
norms of a layer, so only the final norm's gain and bias can be folded, into the head.

The gradients follow by the chain rule. For folded W' = gain[:, None] * W and b' = bias @ W + b:

    dW = gain[:, None] * dW' + outer(bias, db'),   dgain = sum(W * dW', axis=1),   dbias = W @ db',   db = db'

and, as C is symmetric, the gradient of x @ C is multiplied by C as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..config import ModelConfig, Recipe, Wiring
from .layers import GELU_SCALE, FloatArray
from .parameters import LayerTensors, Tensors

_WRITE_TO_STREAM = ("projection_DD", "projection_bias_D", "down_FD", "down_bias_D")
_UNCHANGED_IN_JOURNAL = (*_WRITE_TO_STREAM, "gain1_D", "bias1_D", "gain2_D", "bias2_D")


@dataclass(frozen=True)
class FoldedLayer:
    """One layer's folded weights; A is D + 1. Gains and biases are empty in the prenorm wiring."""

    qkv_A3D: FloatArray
    projection_DD: FloatArray
    projection_bias_D: FloatArray
    up_AF: FloatArray
    down_FD: FloatArray
    down_bias_D: FloatArray
    gain1_D: FloatArray
    bias1_D: FloatArray
    gain2_D: FloatArray
    bias2_D: FloatArray


@dataclass(frozen=True)
class Folded:
    """A flat vector of folded weights, or of their gradients, with views into it.

    The vector is the beginning of `memory`.
    """

    memory: FloatArray
    flat: FloatArray
    embedding_VD: FloatArray
    layers: tuple[FoldedLayer, ...]
    head_AV: FloatArray

    @classmethod
    def empty(
        cls, config: ModelConfig, wiring: Wiring, dtype: np.dtype[np.floating], least: int = 0
    ) -> Folded:
        """Zeros, in memory for at least `least` elements."""
        d, v, n, a = config.width, config.vocab_size, config.n_layers, config.width + 1
        own = d if wiring == "journal" else 0
        shapes: list[tuple[int, ...]] = [(v, d)]
        shapes += [(n, a, 3 * d), (n, d, d), (n, d), (n, a, 4 * d), (n, 4 * d, d), (n, d)]
        shapes += [(n, own)] * 4 + [(a, v)]
        size = sum(map(math.prod, shapes))
        memory = np.zeros(max(size, least), dtype)
        flat = memory[:size]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        tensors = [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
        layers = tuple(FoldedLayer(*(tensor[i] for tensor in tensors[1:-1])) for i in range(n))
        return cls(memory, flat, tensors[0], layers, tensors[-1])


def centres_weights(config: ModelConfig, wiring: Wiring) -> bool:
    """Whether the weights that write to the residual stream are centred, see the module's docstring."""
    return wiring == "prenorm" and not config.dropout


def centre(x: FloatArray, out: FloatArray) -> None:
    """Write x @ C to `out`: each row minus its mean."""
    np.subtract(x, x.mean(axis=-1, keepdims=True), out=out)


class Folding:
    """Folds `parameters` into `weights`, and unfolds gradients, in pieces that threads can share.

    Piece 0 is the embedding and the head, piece i > 0 is layer i - 1.
    """

    def __init__(self, config: ModelConfig, recipe: Recipe, parameters: Tensors) -> None:
        self.wiring, self.parameters = recipe.wiring, parameters
        self.weights = Folded.empty(config, recipe.wiring, parameters.flat_P.dtype)
        self.n_pieces = config.n_layers + 1
        self._centres = centres_weights(config, recipe.wiring)
        self._query_scale = 1 / math.sqrt(config.head_size)
        self._value_scale = 1 - recipe.attention.value_residual

    def fold(self, piece: int) -> None:
        """Compute one piece of the weights from the parameters."""
        p, w = self.parameters, self.weights
        if piece > 0:
            self._fold_layer(p.layers[piece - 1], w.layers[piece - 1])
            self._scale_values(piece, w)
            return
        self._centre(p.embedding_VD, w.embedding_VD)
        _fold_norm(p.head_DV, p.head_bias_V, p.gain_D, p.bias_D, w.head_AV)

    def unfold(self, piece: int, dw: Folded, dp: Tensors) -> None:
        """Turn one piece of the weights' gradient, which is overwritten, into that of the parameters."""
        p = self.parameters
        if piece > 0:
            self._scale_values(piece, dw)
            self._unfold_layer(p.layers[piece - 1], dw.layers[piece - 1], dp.layers[piece - 1])
            return
        self._centre(dw.embedding_VD, dp.embedding_VD)
        _unfold_norm(p.head_DV, p.gain_D, p.bias_D, dw.head_AV, dp.head_DV, dp.gain_D, dp.bias_D)
        np.copyto(dp.head_bias_V, dw.head_AV[-1])

    def _centre(self, x: FloatArray, out: FloatArray) -> None:
        """Write x, centred if weights are, to `out`."""
        if self._centres:
            centre(x, out)
        else:
            np.copyto(out, x)

    def _scale_values(self, piece: int, w: Folded) -> None:
        """Leave room for the first layer's values in those of later layers: forward and backward are the
        same."""
        if self._value_scale != 1 and piece > 1:
            w.layers[piece - 1].qkv_A3D[:, 2 * w.embedding_VD.shape[1] :] *= self._value_scale

    def _fold_layer(self, p: LayerTensors, w: FoldedLayer) -> None:
        d = p.gain1_D.size
        if self.wiring == "journal":
            for name in _UNCHANGED_IN_JOURNAL:
                np.copyto(getattr(w, name), getattr(p, name))
            w.qkv_A3D[:-1], w.qkv_A3D[-1] = p.qkv_D3D, 0
            w.up_AF[:-1], w.up_AF[-1] = p.up_DF, p.up_bias_F
        else:
            for name in _WRITE_TO_STREAM:
                self._centre(getattr(p, name), getattr(w, name))
            _fold_norm(p.qkv_D3D, None, p.gain1_D, p.bias1_D, w.qkv_A3D)
            _fold_norm(p.up_DF, p.up_bias_F, p.gain2_D, p.bias2_D, w.up_AF)
        w.qkv_A3D[:, :d] *= self._query_scale
        np.multiply(w.up_AF, GELU_SCALE, out=w.up_AF)
        np.multiply(w.down_FD, 1 / (2 * GELU_SCALE), out=w.down_FD)

    def _unfold_layer(self, p: LayerTensors, dw: FoldedLayer, dp: LayerTensors) -> None:
        d = p.gain1_D.size
        dw.qkv_A3D[:, :d] *= self._query_scale
        np.multiply(dw.up_AF, GELU_SCALE, out=dw.up_AF)
        np.multiply(dw.down_FD, 1 / (2 * GELU_SCALE), out=dw.down_FD)
        np.copyto(dp.up_bias_F, dw.up_AF[-1])
        if self.wiring == "journal":
            for name in _UNCHANGED_IN_JOURNAL:
                np.copyto(getattr(dp, name), getattr(dw, name))
            np.copyto(dp.qkv_D3D, dw.qkv_A3D[:-1])
            np.copyto(dp.up_DF, dw.up_AF[:-1])
            return
        for name in _WRITE_TO_STREAM:
            self._centre(getattr(dw, name), getattr(dp, name))
        _unfold_norm(p.qkv_D3D, p.gain1_D, p.bias1_D, dw.qkv_A3D, dp.qkv_D3D, dp.gain1_D, dp.bias1_D)
        _unfold_norm(p.up_DF, p.gain2_D, p.bias2_D, dw.up_AF, dp.up_DF, dp.gain2_D, dp.bias2_D)


def _fold_norm(
    w_DO: FloatArray, b_O: FloatArray | None, gain_D: FloatArray, bias_D: FloatArray, folded_AO: FloatArray
) -> None:
    """Write [gain * W; bias @ W + b] to `folded_AO`."""
    np.multiply(w_DO, gain_D[:, None], out=folded_AO[:-1])
    np.matmul(bias_D, w_DO, out=folded_AO[-1])
    if b_O is not None:
        np.add(folded_AO[-1], b_O, out=folded_AO[-1])


def _unfold_norm(
    w_DO: FloatArray,
    gain_D: FloatArray,
    bias_D: FloatArray,
    dfolded_AO: FloatArray,
    dw_DO: FloatArray,
    dgain_D: FloatArray,
    dbias_D: FloatArray,
) -> None:
    """The chain rule through `_fold_norm`; see the module's docstring."""
    dscaled_DO, db_O = dfolded_AO[:-1], dfolded_AO[-1]
    np.multiply(w_DO, dscaled_DO, out=dw_DO)
    np.matmul(dw_DO, np.ones_like(db_O), out=dgain_D)
    np.matmul(w_DO, db_O, out=dbias_D)
    np.multiply(bias_D[:, None], db_O, out=dw_DO)
    np.multiply(dscaled_DO, gain_D[:, None], out=dscaled_DO)
    np.add(dw_DO, dscaled_DO, out=dw_DO)
