"""The GPT: embedding, layers, final norm, head, loss, and all of it backwards.

`Model` holds one flat parameter vector and what is derived from it for a step; it holds no activations. A thread
brings its own `Workspace` and gradient, so that several can work on shares of one batch at the same time.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from .arrays import FloatArray, IdArray, product_into
from .block import block_backward, block_forward
from .config import ModelConfig, Recipe
from .layers import (
    cross_entropy_backward,
    cross_entropy_forward,
    embedding_backward,
    embedding_forward,
    layer_norm_backward,
    layer_norm_forward,
    linear_forward,
)
from .parameters import Tensors, position_table
from .workspace import Workspace


class Model:
    """A GPT of `config`'s size in `recipe`'s wiring over the parameters `flat_P` (float32, or float64 in tests)."""

    def __init__(self, config: ModelConfig, recipe: Recipe, flat_P: FloatArray) -> None:
        self.config, self.wiring = config, recipe.wiring
        self.parameters = Tensors.of(flat_P, config)
        positions = position_table(config, recipe.init.position_amplitude)
        self.positions_TD = positions.astype(flat_P.dtype)
        self.query_scale = 1 / math.sqrt(config.head_size)
        self._scaled_qkv = [np.empty_like(layer.qkv_D3D) for layer in self.parameters.layers]
        self.layers = tuple(
            dataclasses.replace(layer, qkv_D3D=scaled)
            for layer, scaled in zip(self.parameters.layers, self._scaled_qkv, strict=True)
        )
        self.refresh()

    def refresh(self) -> None:
        """Derive the scaled query weights; call it after every change of the parameters."""
        d = self.config.width
        for layer, scaled_D3D in zip(self.parameters.layers, self._scaled_qkv, strict=True):
            scaled_D3D[...] = layer.qkv_D3D
            scaled_D3D[:, :d] *= self.query_scale

    def forward(self, inputs_N: IdArray, ws: Workspace, *, training: bool = False) -> FloatArray:
        """Logits (N, V) in `ws`. `inputs_N` are whole sequences, one after the other."""
        p = self.parameters
        embedding_forward(inputs_N, p.embedding_VD, self.positions_TD, ws.x_ND)
        if training and ws.embedding_mask_ND is not None:
            np.multiply(ws.x_ND, ws.embedding_mask_ND, out=ws.x_ND)
        for layer, cache in zip(self.layers, ws.layers, strict=True):
            block_forward(self.wiring, layer, cache, ws, training=training)
        layer_norm_forward(ws.x_ND, p.gain_D, p.bias_D, ws.mean_D, ws.xhat_ND, ws.rstd_N, ws.norm_ND)
        self._make_logits(ws)
        return ws.logits_NV

    def _make_logits(self, ws: Workspace) -> None:
        linear_forward(ws.norm_ND, self.parameters.head_DV, self.parameters.head_bias_V, ws.logits_NV)

    def loss(self, inputs_N: IdArray, targets_N: IdArray, ws: Workspace, *, training: bool = False) -> float:
        """The summed cross-entropy in nats. Leaves softmax in `ws`, not yet divided by its sums."""
        self.forward(inputs_N, ws, training=training)
        return cross_entropy_forward(
            ws.logits_NV, targets_N, ws.rows_N, ws.ones_V, ws.sums_N, lambda: self._make_logits(ws)
        )

    def loss_and_gradient(
        self,
        inputs_N: IdArray,
        targets_N: IdArray,
        ws: Workspace,
        gradient: Tensors,
        n_total: int,
        *,
        add: bool,
    ) -> float:
        """The summed loss of these sequences, and the gradient of the mean loss over `n_total` tokens.

        The gradient is written, or with `add` added to what `gradient` holds.
        """
        loss = self.loss(inputs_N, targets_N, ws, training=True)
        spare = ws.spare_W if add else None
        self._head_backward(targets_N, ws, gradient, n_total, spare)
        for i in reversed(range(self.config.n_layers)):
            block_backward(self.wiring, self.layers[i], gradient.layers[i], ws.layers[i], ws, spare)
        if ws.embedding_mask_ND is not None:
            np.multiply(ws.dx_ND, ws.embedding_mask_ND, out=ws.dx_ND)
        embedding_backward(inputs_N, ws.dx_ND, gradient.embedding_VD, add=add)
        return loss

    def finish_gradient(self, gradient: Tensors) -> None:
        """Turn the gradient of the scaled query weights into that of the parameters, once all chunks are in."""
        d = self.config.width
        for layer in gradient.layers:
            queries_DD = layer.qkv_D3D[:, :d]
            np.multiply(queries_DD, self.query_scale, out=queries_DD)

    def _head_backward(
        self, targets_N: IdArray, ws: Workspace, gradient: Tensors, n_total: int, spare: FloatArray | None
    ) -> None:
        p, scale_N = self.parameters, ws.sums_N
        cross_entropy_backward(ws.logits_NV, targets_N, ws.rows_N, scale_N, n_total)
        np.multiply(ws.norm_ND, scale_N[:, None], out=ws.norm_ND)
        product_into(ws.norm_ND.T, ws.logits_NV, gradient.head_DV, spare)
        product_into(scale_N, ws.logits_NV, gradient.head_bias_V, spare)
        np.matmul(ws.logits_NV, p.head_DV.T, out=ws.dx_ND)
        np.multiply(ws.dx_ND, scale_N[:, None], out=ws.dx_ND)
        layer_norm_backward(
            ws.dx_ND,
            ws.xhat_ND,
            ws.rstd_N,
            p.gain_D,
            ws.mean_D,
            ws.ones_N,
            ws.dx_ND,
            gradient.gain_D,
            gradient.bias_D,
            ws.row_N,
            ws.work_ND,
            spare,
        )
