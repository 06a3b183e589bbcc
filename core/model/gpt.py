"""The GPT: embedding, layers, final norm, head and loss, with their backward passes.

`Model` holds one flat parameter vector and its folded weights, but no activations. Each thread has its own
`Workspace` and gradient, so that several can work on one batch at the same time. A layer, two norms, an
attention branch and a feed-forward branch, is wired in one of two ways:

    prenorm (GPT-2)                        journal (femtoGPT)
    x = x + attention(norm1(x))            h = norm1(x)
    x = x + feed_forward(norm2(x))         x = norm2(h + attention(h))
                                           x = x + feed_forward(x)

The branches are the same. In the journal's wiring the residual stream itself passes through both norms.
Weights are folded; `folding` also explains what remains of a norm.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..config import ModelConfig, Recipe, Wiring
from .attention import attention_backward, attention_forward
from .folding import Folded, FoldedLayer, Folding, centre, centres_weights
from .layers import (
    FloatArray,
    IdArray,
    centre_rows,
    cross_entropy_backward,
    cross_entropy_forward,
    embedding_backward,
    embedding_forward,
    gelu_backward,
    gelu_forward,
    linear_backward,
    linear_forward,
    product_into,
    rms_norm_backward,
    rms_norm_forward,
    scale_and_shift_backward,
)
from .parameters import Tensors
from .positions import sinusoid
from .workspace import LayerCache, Workspace


class Model:
    """A GPT of `config`'s size in `recipe`'s wiring, over the parameters `flat_P`."""

    def __init__(self, config: ModelConfig, recipe: Recipe, flat_P: FloatArray) -> None:
        self.config, self.recipe, self.wiring = config, recipe, recipe.wiring
        self.parameters = Tensors.of(flat_P, config)
        self.folding = Folding(config, recipe, self.parameters)
        self.weights = self.folding.weights
        positions_TD = sinusoid(config, recipe.init.position_amplitude)
        if centres_weights(config, self.wiring):
            centre(positions_TD, positions_TD)
        self.positions_TD = positions_TD.astype(flat_P.dtype)
        self.refresh()

    def refresh(self) -> None:
        """Fold the parameters again, after every change of them; overflow shows in the logits."""
        with np.errstate(all="ignore"):
            for piece in range(self.folding.n_pieces):
                self.folding.fold(piece)

    def empty_gradient(self) -> Folded:
        """An array for the gradient of the folded weights; its memory also holds one of the parameters."""
        flat_P = self.parameters.flat_P
        return Folded.empty(self.config, self.wiring, flat_P.dtype, least=flat_P.size)

    def forward(self, inputs_N: IdArray, ws: Workspace, *, training: bool = False) -> FloatArray:
        """Logits (N, V) in `ws`; `inputs_N` are concatenated sequences."""
        self.embed(inputs_N, ws, training=training)
        for _ in self.blocks_forward(ws, training=training):
            pass
        self.read_out(ws)
        return ws.logits_NV

    def embed(self, inputs_N: IdArray, ws: Workspace, *, training: bool = False) -> None:
        """Write the residual stream before the first layer to `ws.x_ND`."""
        positions_TD = self.positions_TD[: ws.attention_shape.context]
        embedding_forward(inputs_N, self.weights.embedding_VD, positions_TD, ws.x_ND)
        if training and ws.embedding_mask_ND is not None:
            np.multiply(ws.x_ND, ws.embedding_mask_ND, out=ws.x_ND)
        if ws.centres_stream:
            centre_rows(ws.x_ND, ws.mean_D, ws.row_N, ws.x_ND)

    def blocks_forward(self, ws: Workspace, *, training: bool = False) -> Iterator[LayerCache]:
        """Run the layers on the residual stream `ws.x_ND`; yields after each, with its activations."""
        for i, (layer, cache) in enumerate(zip(self.weights.layers, ws.layers, strict=True)):
            _block_forward(self.wiring, layer, cache, ws, is_first=i == 0, training=training)
            yield cache

    def read_out(self, ws: Workspace) -> None:
        """The logits of the residual stream `ws.x_ND`: the final norm, then the head."""
        if self.wiring == "journal":
            centre_rows(ws.x_ND, ws.mean_D, ws.row_N, ws.x_ND)
        rms_norm_forward(ws.x_ND, ws.mean_D, ws.xhat_ND, ws.rrms_N, ws.work_ND)
        self._make_logits(ws)

    def _make_logits(self, ws: Workspace) -> None:
        linear_forward(ws.norm_NA, self.weights.head_AV, None, ws.logits_NV)

    def loss(self, inputs_N: IdArray, targets_N: IdArray, ws: Workspace, *, training: bool = False) -> float:
        """The summed cross-entropy in nats. Leaves softmax in `ws`, not divided by its sums."""
        self.forward(inputs_N, ws, training=training)
        return self.cross_entropy(targets_N, ws)

    def cross_entropy(self, targets_N: IdArray, ws: Workspace) -> float:
        """What `loss` returns, of the logits in `ws`."""
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
        for _ in self.blocks_backward(targets_N, ws, gradient, n_total, spare):
            pass
        if ws.centres_stream:
            centre_rows(ws.dx_ND, ws.mean_D, ws.row_N, ws.dx_ND)
        if ws.embedding_mask_ND is not None:
            np.multiply(ws.dx_ND, ws.embedding_mask_ND, out=ws.dx_ND)
        embedding_backward(inputs_N, ws.dx_ND, gradient.embedding_VD, add=add)
        return loss

    def blocks_backward(
        self, targets_N: IdArray, ws: Workspace, gradient: Folded, n_total: int, spare: FloatArray | None
    ) -> Iterator[None]:
        """From the cross-entropy to the gradient `ws.dx_ND` of the residual stream before the first layer.

        Yields with the gradient of the stream after the last layer, then before each layer, from the last.
        """
        self._head_backward(targets_N, ws, gradient, n_total, spare)
        if ws.dfirst_values_ND is not None:
            ws.dfirst_values_ND.fill(0)
        yield
        layers = zip(self.weights.layers, gradient.layers, ws.layers, strict=True)
        for i, (w, dw, cache) in reversed(list(enumerate(layers))):
            _block_backward(self.wiring, w, dw, cache, ws, spare, is_first=i == 0)
            yield

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


def _block_forward(
    wiring: Wiring, w: FoldedLayer, c: LayerCache, ws: Workspace, *, is_first: bool, training: bool
) -> None:
    """Replace the residual stream `ws.x_ND` by the layer's output."""
    if wiring == "journal":
        h_ND = _layer_norm_forward(ws, c.xhat1_ND, c.rrms1_N, w.gain1_D, w.bias1_D, c.norm1_NA)
        _attention_branch_forward(w, c, ws, is_first=is_first, training=training)
        np.add(h_ND, ws.y_ND, out=ws.x_ND)
        x_ND = _layer_norm_forward(ws, c.xhat2_ND, c.rrms2_N, w.gain2_D, w.bias2_D, c.norm2_NA)
        _feed_forward_branch_forward(w, c, ws, training=training)
        np.add(x_ND, ws.y_ND, out=ws.x_ND)
    else:
        rms_norm_forward(ws.x_ND, ws.mean_D, c.xhat1_ND, c.rrms1_N, ws.work_ND)
        _attention_branch_forward(w, c, ws, is_first=is_first, training=training)
        np.add(ws.x_ND, ws.y_ND, out=ws.x_ND)
        rms_norm_forward(ws.x_ND, ws.mean_D, c.xhat2_ND, c.rrms2_N, ws.work_ND)
        _feed_forward_branch_forward(w, c, ws, training=training)
        np.add(ws.x_ND, ws.y_ND, out=ws.x_ND)


def _block_backward(
    wiring: Wiring,
    w: FoldedLayer,
    dw: FoldedLayer,
    c: LayerCache,
    ws: Workspace,
    spare: FloatArray | None,
    *,
    is_first: bool,
) -> None:
    """Replace `ws.dx_ND`, the gradient of the layer's output, by that of its input; fill or add to `dw`.

    Each branch leaves the gradient of its input in `ws.dnorm_ND`.
    """
    if wiring == "journal":
        _feed_forward_branch_backward(w, dw, c, ws, spare)
        np.add(ws.dx_ND, ws.dnorm_ND, out=ws.dx_ND)
        _layer_norm_backward(ws, c.xhat2_ND, c.rrms2_N, w.gain2_D, dw.gain2_D, dw.bias2_D, spare)
        _attention_branch_backward(w, dw, c, ws, spare, is_first=is_first)
        np.add(ws.dx_ND, ws.dnorm_ND, out=ws.dx_ND)
        _layer_norm_backward(ws, c.xhat1_ND, c.rrms1_N, w.gain1_D, dw.gain1_D, dw.bias1_D, spare)
    else:
        _feed_forward_branch_backward(w, dw, c, ws, spare)
        rms_norm_backward(ws.dnorm_ND, c.xhat2_ND, c.rrms2_N, ws.mean_D, ws.row_N, ws.work_ND)
        np.add(ws.dx_ND, ws.dnorm_ND, out=ws.dx_ND)
        _attention_branch_backward(w, dw, c, ws, spare, is_first=is_first)
        rms_norm_backward(ws.dnorm_ND, c.xhat1_ND, c.rrms1_N, ws.mean_D, ws.row_N, ws.work_ND)
        np.add(ws.dx_ND, ws.dnorm_ND, out=ws.dx_ND)


def _layer_norm_forward(
    ws: Workspace,
    xhat_ND: FloatArray,
    rrms_N: FloatArray,
    gain_D: FloatArray,
    bias_D: FloatArray,
    norm_NA: FloatArray,
) -> FloatArray:
    """Layer norm of `ws.x_ND`; returns the output without its column of ones."""
    norm_ND = norm_NA[:, :-1]
    centre_rows(ws.x_ND, ws.mean_D, ws.row_N, xhat_ND)
    rms_norm_forward(xhat_ND, ws.mean_D, xhat_ND, rrms_N, ws.work_ND)
    np.multiply(xhat_ND, gain_D, out=norm_ND)
    np.add(norm_ND, bias_D, out=norm_ND)
    return norm_ND


def _layer_norm_backward(
    ws: Workspace,
    xhat_ND: FloatArray,
    rrms_N: FloatArray,
    gain_D: FloatArray,
    dgain_D: FloatArray,
    dbias_D: FloatArray,
    spare: FloatArray | None,
) -> None:
    """Backward of `_layer_norm_forward`, in place in `ws.dx_ND`."""
    scale_and_shift_backward(ws.dx_ND, xhat_ND, gain_D, ws.ones_N, dgain_D, dbias_D, ws.work_ND, spare)
    rms_norm_backward(ws.dx_ND, xhat_ND, rrms_N, ws.mean_D, ws.row_N, ws.work_ND)
    centre_rows(ws.dx_ND, ws.mean_D, ws.row_N, ws.dx_ND)


def _attention_branch_forward(
    w: FoldedLayer, c: LayerCache, ws: Workspace, *, is_first: bool, training: bool
) -> None:
    """From `c.norm1_NA` to `ws.y_ND`."""
    masks, shape = c.masks if training else None, ws.attention_shape
    mask_BHTT = None if masks is None else masks.attention_BHTT
    kept = c.exp_BHTT, c.reciprocal_NH, c.mixed_ND
    linear_forward(c.norm1_NA, w.qkv_A3D, None, c.qkv_N3D)
    ws.key_order.forward(c.qkv_N3D, ws.work_ND)
    _value_residual_forward(c.qkv_N3D, ws, is_first=is_first)
    c.is_large_1[0] = attention_forward(c.qkv_N3D, shape, *kept, ws.work_ND, ws.work_BHTT, mask_BHTT)
    linear_forward(c.mixed_ND, w.projection_DD, w.projection_bias_D, ws.y_ND)
    _branch_end_forward(ws, None if masks is None else masks.projection_ND)


def _attention_branch_backward(
    w: FoldedLayer, dw: FoldedLayer, c: LayerCache, ws: Workspace, spare: FloatArray | None, *, is_first: bool
) -> None:
    """From `ws.dx_ND` to `ws.dnorm_ND`."""
    dmixed_ND, mask_BHTT = ws.y_ND, None if c.masks is None else c.masks.attention_BHTT
    dy_ND = _branch_end_backward(ws, None if c.masks is None else c.masks.projection_ND, ws.dnorm_ND)
    dw_DD, db_D = dw.projection_DD, dw.projection_bias_D
    linear_backward(dy_ND, c.mixed_ND, w.projection_DD, ws.ones_N, dmixed_ND, dw_DD, db_D, spare)
    kept = c.exp_BHTT, c.reciprocal_NH, c.mixed_ND
    work, is_large = (ws.work_ND, ws.work_NH, ws.work_BHTT), bool(c.is_large_1[0])
    attention_backward(
        dmixed_ND, c.qkv_N3D, ws.attention_shape, *kept, ws.dqkv_N3D, *work, mask_BHTT, is_large=is_large
    )
    _value_residual_backward(ws.dqkv_N3D, ws, is_first=is_first)
    ws.key_order.backward(ws.dqkv_N3D, ws.work_ND)
    linear_backward(ws.dqkv_N3D, c.norm1_NA, w.qkv_A3D[:-1], ws.ones_N, ws.dnorm_ND, dw.qkv_A3D, None, spare)


def _value_residual_forward(qkv_N3D: FloatArray, ws: Workspace, *, is_first: bool) -> None:
    """Add the first layer's values, times their share, to those of later layers, whose weights have the rest.

    Source: Zhou et al., "Value Residual Learning" (2024), with a fixed share.
    """
    if ws.first_values_ND is None:
        return
    values_ND = qkv_N3D[:, 2 * ws.x_ND.shape[1] :]
    if is_first:
        np.multiply(values_ND, ws.value_residual, out=ws.first_values_ND)
    else:
        np.add(values_ND, ws.first_values_ND, out=values_ND)


def _value_residual_backward(dqkv_N3D: FloatArray, ws: Workspace, *, is_first: bool) -> None:
    """Sum the gradients of later layers' values; add them, times the share, to that of the first's."""
    if ws.dfirst_values_ND is None:
        return
    dvalues_ND = dqkv_N3D[:, 2 * ws.x_ND.shape[1] :]
    if is_first:
        np.multiply(ws.dfirst_values_ND, ws.value_residual, out=ws.dfirst_values_ND)
        np.add(dvalues_ND, ws.dfirst_values_ND, out=dvalues_ND)
    else:
        np.add(ws.dfirst_values_ND, dvalues_ND, out=ws.dfirst_values_ND)


def _feed_forward_branch_forward(w: FoldedLayer, c: LayerCache, ws: Workspace, *, training: bool) -> None:
    """From `c.norm2_NA` to `ws.y_ND`."""
    linear_forward(c.norm2_NA, w.up_AF, None, c.hidden_NF)
    gelu_forward(c.hidden_NF, c.dgelu_NF if training else None, ws.gelu_2W)
    linear_forward(c.hidden_NF, w.down_FD, w.down_bias_D, ws.y_ND)
    _branch_end_forward(ws, c.masks.down_ND if training and c.masks is not None else None)


def _feed_forward_branch_backward(
    w: FoldedLayer, dw: FoldedLayer, c: LayerCache, ws: Workspace, spare: FloatArray | None
) -> None:
    """From `ws.dx_ND` to `ws.dnorm_ND`."""
    dw_FD, db_D = dw.down_FD, dw.down_bias_D
    dy_ND = _branch_end_backward(ws, None if c.masks is None else c.masks.down_ND, ws.y_ND)
    linear_backward(dy_ND, c.hidden_NF, w.down_FD, ws.ones_N, ws.dhidden_NF, dw_FD, db_D, spare)
    gelu_backward(ws.dhidden_NF, c.dgelu_NF)
    linear_backward(ws.dhidden_NF, c.norm2_NA, w.up_AF[:-1], ws.ones_N, ws.dnorm_ND, dw.up_AF, None, spare)


def _branch_end_forward(ws: Workspace, mask_ND: FloatArray | None) -> None:
    """Dropout of a branch's output `ws.y_ND`, which is centred afterwards unless its weights were."""
    if mask_ND is not None:
        np.multiply(ws.y_ND, mask_ND, out=ws.y_ND)
    if ws.centres_stream:
        centre_rows(ws.y_ND, ws.mean_D, ws.row_N, ws.y_ND)


def _branch_end_backward(ws: Workspace, mask_ND: FloatArray | None, out_ND: FloatArray) -> FloatArray:
    """The gradient of a branch's output before dropout, from `ws.dx_ND`: that itself, or in `out_ND`."""
    dbranch_ND = ws.dx_ND
    if ws.centres_stream:
        centre_rows(dbranch_ND, ws.mean_D, ws.row_N, out_ND)
        dbranch_ND = out_ND
    return dbranch_ND if mask_ND is None else np.multiply(dbranch_ND, mask_ND, out=out_ND)
