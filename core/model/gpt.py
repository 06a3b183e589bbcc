"""The GPT: embedding, layers, final norm, head and loss, with their backward passes.

`Model` holds one flat parameter vector and its folded weights, but no activations. Each thread has its own
`Workspace` and gradient, so that several can work on one batch at the same time.
"""

from __future__ import annotations

import numpy as np

from ..config import ModelConfig, Recipe
from .block import block_backward, block_forward
from .folding import Folded, Folding, centre
from .layers import (
    FloatArray,
    IdArray,
    centre_rows,
    cross_entropy_backward,
    cross_entropy_forward,
    embedding_backward,
    embedding_forward,
    linear_forward,
    product_into,
    rms_norm_backward,
    rms_norm_forward,
)
from .parameters import Tensors, position_table
from .workspace import Workspace


class Model:
    """A GPT of `config`'s size in `recipe`'s wiring, over the parameters `flat_P`."""

    def __init__(self, config: ModelConfig, recipe: Recipe, flat_P: FloatArray) -> None:
        self.config, self.wiring = config, recipe.wiring
        self.parameters = Tensors.of(flat_P, config)
        self.folding = Folding(config, self.wiring, self.parameters)
        self.weights = self.folding.weights
        positions_TD = position_table(config, recipe.init.position_amplitude)
        if self.wiring == "prenorm":
            centre(positions_TD, positions_TD)
        self.positions_TD = positions_TD.astype(flat_P.dtype)
        self.refresh()

    def refresh(self) -> None:
        """Fold the parameters again, after every change of them."""
        for piece in range(self.folding.n_pieces):
            self.folding.fold(piece)

    def empty_gradient(self) -> Folded:
        """An array for the gradient of the folded weights; its memory also holds one of the parameters."""
        flat_P = self.parameters.flat_P
        return Folded.empty(self.config, self.wiring, flat_P.dtype, least=flat_P.size)

    def forward(self, inputs_N: IdArray, ws: Workspace, *, training: bool = False) -> FloatArray:
        """Logits (N, V) in `ws`; `inputs_N` are concatenated sequences."""
        embedding_forward(inputs_N, self.weights.embedding_VD, self.positions_TD, ws.x_ND)
        if training and ws.embedding_mask_ND is not None:
            np.multiply(ws.x_ND, ws.embedding_mask_ND, out=ws.x_ND)
        for layer, cache in zip(self.weights.layers, ws.layers, strict=True):
            block_forward(self.wiring, layer, cache, ws, training=training)
        if self.wiring == "journal":
            centre_rows(ws.x_ND, ws.mean_D, ws.row_N, ws.x_ND)
        rms_norm_forward(ws.x_ND, ws.mean_D, ws.xhat_ND, ws.rrms_N, ws.work_ND)
        self._make_logits(ws)
        return ws.logits_NV

    def _make_logits(self, ws: Workspace) -> None:
        linear_forward(ws.norm_NA, self.weights.head_AV, None, ws.logits_NV)

    def loss(self, inputs_N: IdArray, targets_N: IdArray, ws: Workspace, *, training: bool = False) -> float:
        """The summed cross-entropy in nats. Leaves softmax in `ws`, not divided by its sums."""
        self.forward(inputs_N, ws, training=training)
        return cross_entropy_forward(
            ws.logits_NV, targets_N, ws.rows_N, ws.ones_V, ws.sums_N, lambda: self._make_logits(ws)
        )

    def loss_and_gradient(
        self,
        inputs_N: IdArray,
        targets_N: IdArray,
        ws: Workspace,
        gradient: Folded,
        n_total: int,
        *,
        add: bool,
    ) -> float:
        """The summed loss of these sequences.

        The gradient of the mean loss over `n_total` tokens is written, or with `add` added, to `gradient`.
        """
        loss = self.loss(inputs_N, targets_N, ws, training=True)
        spare = ws.spare_W if add else None
        self._head_backward(targets_N, ws, gradient, n_total, spare)
        for i in reversed(range(self.config.n_layers)):
            block_backward(self.wiring, self.weights.layers[i], gradient.layers[i], ws.layers[i], ws, spare)
        if ws.embedding_mask_ND is not None:
            np.multiply(ws.dx_ND, ws.embedding_mask_ND, out=ws.dx_ND)
        embedding_backward(inputs_N, ws.dx_ND, gradient.embedding_VD, add=add)
        return loss

    def _head_backward(
        self, targets_N: IdArray, ws: Workspace, gradient: Folded, n_total: int, spare: FloatArray | None
    ) -> None:
        scale_N = ws.sums_N
        cross_entropy_backward(ws.logits_NV, targets_N, ws.rows_N, scale_N, n_total)
        np.multiply(ws.norm_NA, scale_N[:, None], out=ws.scaled_NA)
        product_into(ws.scaled_NA.T, ws.logits_NV, gradient.head_AV, spare)
        np.matmul(ws.logits_NV, self.weights.head_AV[:-1].T, out=ws.dx_ND)
        np.multiply(ws.dx_ND, scale_N[:, None], out=ws.dx_ND)
        rms_norm_backward(ws.dx_ND, ws.xhat_ND, ws.rrms_N, ws.mean_D, ws.row_N, ws.work_ND)
        if self.wiring == "journal":
            centre_rows(ws.dx_ND, ws.mean_D, ws.row_N, ws.dx_ND)
