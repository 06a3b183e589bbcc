"""One transformer layer in either wiring: two norms, an attention branch, a feed-forward branch.

    prenorm (GPT-2)                        journal (femtoGPT)
    x = x + attention(norm1(x))            h = norm1(x)
    x = x + feed_forward(norm2(x))         x = norm2(h + attention(h))
                                           x = x + feed_forward(x)

The branches are the same. In the journal's wiring the residual stream itself passes through both norms.
Weights are folded; `folding` also explains what remains of a norm.
"""

from __future__ import annotations

import numpy as np

from ..config import Wiring
from .attention import attention_backward, attention_forward
from .folding import FoldedLayer
from .layers import (
    FloatArray,
    centre_rows,
    gelu_backward,
    gelu_forward,
    linear_backward,
    linear_forward,
    rms_norm_backward,
    rms_norm_forward,
    scale_and_shift_backward,
)
from .workspace import LayerCache, Workspace


def block_forward(wiring: Wiring, w: FoldedLayer, c: LayerCache, ws: Workspace, *, training: bool) -> None:
    """Replace the residual stream `ws.x_ND` by the layer's output."""
    if wiring == "journal":
        h_ND = _layer_norm_forward(ws, c.xhat1_ND, c.rrms1_N, w.gain1_D, w.bias1_D, c.norm1_NA)
        _attention_branch_forward(w, c, ws, training=training)
        np.add(h_ND, ws.y_ND, out=ws.x_ND)
        x_ND = _layer_norm_forward(ws, c.xhat2_ND, c.rrms2_N, w.gain2_D, w.bias2_D, c.norm2_NA)
        _feed_forward_branch_forward(w, c, ws, training=training)
        np.add(x_ND, ws.y_ND, out=ws.x_ND)
    else:
        rms_norm_forward(ws.x_ND, ws.mean_D, c.xhat1_ND, c.rrms1_N, ws.work_ND)
        _attention_branch_forward(w, c, ws, training=training)
        np.add(ws.x_ND, ws.y_ND, out=ws.x_ND)
        rms_norm_forward(ws.x_ND, ws.mean_D, c.xhat2_ND, c.rrms2_N, ws.work_ND)
        _feed_forward_branch_forward(w, c, ws, training=training)
        np.add(ws.x_ND, ws.y_ND, out=ws.x_ND)


def block_backward(
    wiring: Wiring, w: FoldedLayer, dw: FoldedLayer, c: LayerCache, ws: Workspace, spare: FloatArray | None
) -> None:
    """Replace `ws.dx_ND`, the gradient of the layer's output, by that of its input; fill or add to `dw`.

    Each branch leaves the gradient of its input in `ws.dnorm_ND`.
    """
    if wiring == "journal":
        _feed_forward_branch_backward(w, dw, c, ws, spare)
        np.add(ws.dx_ND, ws.dnorm_ND, out=ws.dx_ND)
        _layer_norm_backward(ws, c.xhat2_ND, c.rrms2_N, w.gain2_D, dw.gain2_D, dw.bias2_D, spare)
        _attention_branch_backward(w, dw, c, ws, spare)
        np.add(ws.dx_ND, ws.dnorm_ND, out=ws.dx_ND)
        _layer_norm_backward(ws, c.xhat1_ND, c.rrms1_N, w.gain1_D, dw.gain1_D, dw.bias1_D, spare)
    else:
        _feed_forward_branch_backward(w, dw, c, ws, spare)
        rms_norm_backward(ws.dnorm_ND, c.xhat2_ND, c.rrms2_N, ws.mean_D, ws.row_N, ws.work_ND)
        np.add(ws.dx_ND, ws.dnorm_ND, out=ws.dx_ND)
        _attention_branch_backward(w, dw, c, ws, spare)
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


def _attention_branch_forward(w: FoldedLayer, c: LayerCache, ws: Workspace, *, training: bool) -> None:
    """From `c.norm1_NA` to `ws.y_ND`."""
    masks = c.masks if training else None
    linear_forward(c.norm1_NA, w.qkv_A3D, None, c.qkv_N3D)
    attention_forward(
        c.qkv_N3D,
        ws.attention_shape,
        c.exp_BHTT,
        c.reciprocal_NH,
        c.mixed_ND,
        ws.work_ND,
        ws.work_BHTT,
        None if masks is None else masks.attention_BHTT,
    )
    linear_forward(c.mixed_ND, w.projection_DD, w.projection_bias_D, ws.y_ND)
    if masks is not None:
        np.multiply(ws.y_ND, masks.projection_ND, out=ws.y_ND)


def _attention_branch_backward(
    w: FoldedLayer, dw: FoldedLayer, c: LayerCache, ws: Workspace, spare: FloatArray | None
) -> None:
    """From `ws.dx_ND` to `ws.dnorm_ND`."""
    dbranch_ND, dmixed_ND = ws.dx_ND, ws.y_ND
    if c.masks is not None:
        dbranch_ND = np.multiply(ws.dx_ND, c.masks.projection_ND, out=ws.dnorm_ND)
    linear_backward(
        dbranch_ND,
        c.mixed_ND,
        w.projection_DD,
        ws.ones_N,
        dmixed_ND,
        dw.projection_DD,
        dw.projection_bias_D,
        spare,
    )
    attention_backward(
        dmixed_ND,
        c.qkv_N3D,
        ws.attention_shape,
        c.exp_BHTT,
        c.reciprocal_NH,
        c.mixed_ND,
        ws.dqkv_N3D,
        ws.work_ND,
        ws.work_NH,
        ws.work_BHTT,
        None if c.masks is None else c.masks.attention_BHTT,
    )
    linear_backward(ws.dqkv_N3D, c.norm1_NA, w.qkv_A3D[:-1], ws.ones_N, ws.dnorm_ND, dw.qkv_A3D, None, spare)


def _feed_forward_branch_forward(w: FoldedLayer, c: LayerCache, ws: Workspace, *, training: bool) -> None:
    """From `c.norm2_NA` to `ws.y_ND`."""
    linear_forward(c.norm2_NA, w.up_AF, None, c.hidden_NF)
    gelu_forward(c.hidden_NF, c.dgelu_NF if training else None, ws.gelu_2W)
    linear_forward(c.hidden_NF, w.down_FD, w.down_bias_D, ws.y_ND)
    if training and c.masks is not None:
        np.multiply(ws.y_ND, c.masks.down_ND, out=ws.y_ND)


def _feed_forward_branch_backward(
    w: FoldedLayer, dw: FoldedLayer, c: LayerCache, ws: Workspace, spare: FloatArray | None
) -> None:
    """From `ws.dx_ND` to `ws.dnorm_ND`."""
    dbranch_ND = ws.dx_ND
    if c.masks is not None:
        dbranch_ND = np.multiply(ws.dx_ND, c.masks.down_ND, out=ws.y_ND)
    linear_backward(
        dbranch_ND, c.hidden_NF, w.down_FD, ws.ones_N, ws.dhidden_NF, dw.down_FD, dw.down_bias_D, spare
    )
    gelu_backward(ws.dhidden_NF, c.dgelu_NF)
    linear_backward(ws.dhidden_NF, c.norm2_NA, w.up_AF[:-1], ws.ones_N, ws.dnorm_ND, dw.up_AF, None, spare)
