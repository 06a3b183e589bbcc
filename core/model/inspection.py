"""What happens inside a model: attention and residual stream of a text, and statistics of a training step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from ..config import ModelConfig, Recipe
from ..events import LayerStatistics, StreamStatistics
from .gpt import Model
from .layers import LAYER_NORM_EPS, FloatArray, IdArray
from .workspace import LayerCache, Pool, Workspace, draw_masks


@dataclass(frozen=True)
class TextInspection:
    """A text of T tokens inside a model of L layers.

    `attention_LHTT` are the attention weights: row t of a head is what token t looked at, and sums to 1.
    `streams_KTD` is the residual stream after the embedding and after each layer; K is L + 1.
    """

    attention_LHTT: FloatArray
    streams_KTD: FloatArray
    head_AV: FloatArray

    def lens(self, t: int) -> FloatArray:
        """Logits (K, V) of the token after position t, read from the stream at every depth.

        The final norm and the head are applied to each, as if the layers above did not exist; the last row
        is the model's own output. Source: nostalgebraist, "interpreting GPT: the logit lens" (2020).
        """
        x_KD = self.streams_KTD[:, t]
        x_KD = x_KD - x_KD.mean(axis=1, keepdims=True)
        x_KD /= np.sqrt(np.square(x_KD).mean(axis=1, keepdims=True) + LAYER_NORM_EPS)
        logits_KV: FloatArray = x_KD @ self.head_AV[:-1] + self.head_AV[-1]
        return logits_KV


def inspect_text(model: Model, ids_T: IdArray) -> TextInspection:
    """Read a text of at most `context` tokens, and keep what happens inside."""
    config, dtype = model.config, model.weights.flat.dtype
    t, n_layers = ids_T.size, config.n_layers
    ws = _workspace(model, 1, t, training=False)
    attention_LHTT = np.empty((n_layers, config.n_heads, t, t), dtype)
    streams_KTD = np.empty((n_layers + 1, t, config.width), dtype)
    with np.errstate(all="ignore"):
        model.embed(ids_T, ws)
        streams_KTD[0] = ws.x_ND
        for layer, cache in enumerate(model.blocks_forward(ws)):
            attention_LHTT[layer] = _attention_weights(cache)[0]
            streams_KTD[layer + 1] = ws.x_ND
    return TextInspection(attention_LHTT, streams_KTD, model.weights.head_AV)


def inspect_batch(
    model: Model, inputs_BT: IdArray, targets_BT: IdArray, seed: int, step: int
) -> tuple[tuple[StreamStatistics, ...], tuple[LayerStatistics, ...]]:
    """Statistics of the stream at each of K depths, and of L layers, in a forward and backward pass.

    The texts are the first of a training batch, and so are the dropout masks that are drawn for them from
    `seed` and `step`. The model is only read.
    """
    ws = _workspace(model, *inputs_BT.shape, training=True)
    draw_masks(ws, model.config.dropout, seed, step, 0)
    targets_N, gradient = targets_BT.reshape(-1), model.empty_gradient()
    with np.errstate(all="ignore"):
        model.embed(inputs_BT.reshape(-1), ws, training=True)
        streams, layers = [stream_statistics(ws.x_ND)], []
        for cache in model.blocks_forward(ws, training=True):
            streams.append(stream_statistics(ws.x_ND))
            layers.append(_layer_statistics(cache))
        model.read_out(ws)
        model.cross_entropy(targets_N, ws)
        backward = model.blocks_backward(targets_N, ws, gradient, 1, None)
        gradient_rms = [_centred_rms(ws.dx_ND) for _ in backward]  # a layer norm passes no mean back
    both = zip(streams, reversed(gradient_rms), strict=True)
    return tuple(StreamStatistics(s.rms, s.carrying, g) for s, g in both), tuple(layers)


def stream_by_depth(
    config: ModelConfig, recipe: Recipe, flat_P: FloatArray, ids_BT: IdArray
) -> list[StreamStatistics]:
    """The residual stream of texts: after the embedding, and after each layer, without gradients."""
    model = Model(config, recipe, flat_P)
    ws = _workspace(model, *ids_BT.shape, training=False)
    model.embed(ids_BT.reshape(-1), ws)
    return [stream_statistics(ws.x_ND), *(stream_statistics(ws.x_ND) for _ in model.blocks_forward(ws))]


def _workspace(model: Model, b: int, t: int, *, training: bool) -> Workspace:
    config = replace(model.config, context=t)
    return Workspace(config, model.recipe, b, Pool(model.weights.flat.dtype), training=training)


def _attention_weights(cache: LayerCache) -> FloatArray:
    """The softmax (B, H, T, T) that `attention_forward` leaves undivided."""
    b, h, t, _ = cache.exp_BHTT.shape
    reciprocal_BHT = cache.reciprocal_NH.reshape(b, t, h).transpose(0, 2, 1)
    weights_BHTT: FloatArray = cache.exp_BHTT * reciprocal_BHT[..., None]
    return weights_BHTT


def _centred_rms(x_ND: FloatArray) -> float:
    return float(np.sqrt(np.square(x_ND - x_ND.mean(axis=1, keepdims=True), dtype=np.float64).mean()))


def stream_statistics(x_ND: FloatArray) -> StreamStatistics:
    """The statistics of N rows of the residual stream, without gradients."""
    squares_ND = np.square(x_ND - x_ND.mean(axis=1, keepdims=True), dtype=np.float64)
    carrying_N = squares_ND.sum(axis=1) ** 2 / np.square(squares_ND).sum(axis=1)
    return StreamStatistics(float(np.sqrt(squares_ND.mean())), float(carrying_N.mean()))


def _layer_statistics(cache: LayerCache) -> LayerStatistics:
    """The hidden units' sign is that of their argument: GELU keeps it."""
    weights_BHTT = _attention_weights(cache)
    bits_BHTT = weights_BHTT * np.log2(weights_BHTT, out=np.zeros_like(weights_BHTT), where=weights_BHTT > 0)
    entropies_H = -bits_BHTT.sum(axis=-1).mean(axis=(0, 2))
    silent, is_open = (cache.hidden_NF <= 0).all(axis=0).mean(), (cache.hidden_NF > 0).all(axis=0).mean()
    return LayerStatistics(tuple(map(float, entropies_H)), float(silent), float(is_open))
