"""One transformer layer in either wiring: two norms, an attention branch, a feed-forward branch.

    prenorm (GPT-2)                        journal (femtoGPT)
    x = x + attention(norm1(x))            h = norm1(x)
    x = x + feed_forward(norm2(x))         x = norm2(h + attention(h))
                                           x = x + feed_forward(x)

The branches are the same; only what flows round them differs. In the journal's wiring the residual stream
itself passes through both norms.
"""

from __future__ import annotations

import numpy as np

from .arrays import FloatArray
from .attention import attention_backward, attention_forward
from .config import Wiring
from .layers import (
    gelu_backward,
    gelu_forward,
    layer_norm_backward,
    layer_norm_forward,
    linear_backward,
    linear_forward,
)
from .parameters import LayerTensors
from .workspace import LayerCache, Workspace


def block_forward(wiring: Wiring, p: LayerTensors, c: LayerCache, ws: Workspace, *, training: bool) -> None:
    """Replace the residual stream `ws.x_ND` by what the layer makes of it. `p.qkv_D3D` has its scaled queries."""
    x_ND, branch_ND = ws.x_ND, ws.y_ND
    layer_norm_forward(x_ND, p.gain1_D, p.bias1_D, ws.mean_D, c.xhat1_ND, c.rstd1_N, c.norm1_ND)
    _attention_branch_forward(p, c, ws, branch_ND, training=training)
    if wiring == "journal":
        np.add(c.norm1_ND, branch_ND, out=x_ND)
    else:
        np.add(x_ND, branch_ND, out=x_ND)
    layer_norm_forward(x_ND, p.gain2_D, p.bias2_D, ws.mean_D, c.xhat2_ND, c.rstd2_N, c.norm2_ND)
    _feed_forward_branch_forward(p, c, ws, branch_ND, training=training)
    if wiring == "journal":
        np.add(c.norm2_ND, branch_ND, out=x_ND)
    else:
        np.add(x_ND, branch_ND, out=x_ND)


def block_backward(
    wiring: Wiring, p: LayerTensors, dp: LayerTensors, c: LayerCache, ws: Workspace, spare: FloatArray | None
) -> None:
    """Replace `ws.dx_ND`, the gradient of the layer's output, by that of its input; fill or add to `dp`."""
    dx_ND, dnorm_ND = ws.dx_ND, ws.dy_ND
    _feed_forward_branch_backward(p, dp, c, ws, dx_ND, dnorm_ND, spare)
    if wiring == "journal":
        np.add(dx_ND, dnorm_ND, out=dnorm_ND)
    _norm_backward(dnorm_ND, c.xhat2_ND, c.rstd2_N, p.gain2_D, dp.gain2_D, dp.bias2_D, ws, spare)
    if wiring == "journal":
        dx_ND[...] = dnorm_ND
    else:
        np.add(dx_ND, dnorm_ND, out=dx_ND)
    _attention_branch_backward(p, dp, c, ws, dx_ND, dnorm_ND, spare)
    if wiring == "journal":
        np.add(dx_ND, dnorm_ND, out=dnorm_ND)
    _norm_backward(dnorm_ND, c.xhat1_ND, c.rstd1_N, p.gain1_D, dp.gain1_D, dp.bias1_D, ws, spare)
    if wiring == "journal":
        dx_ND[...] = dnorm_ND
    else:
        np.add(dx_ND, dnorm_ND, out=dx_ND)


def _attention_branch_forward(
    p: LayerTensors, c: LayerCache, ws: Workspace, branch_ND: FloatArray, *, training: bool
) -> None:
    masks = c.masks if training else None
    linear_forward(c.norm1_ND, p.qkv_D3D, None, c.qkv_N3D)
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
    linear_forward(c.mixed_ND, p.projection_DD, p.projection_bias_D, branch_ND)
    if masks is not None:
        np.multiply(branch_ND, masks.projection_ND, out=branch_ND)


def _attention_branch_backward(
    p: LayerTensors,
    dp: LayerTensors,
    c: LayerCache,
    ws: Workspace,
    dbranch_ND: FloatArray,
    dnorm_ND: FloatArray,
    spare: FloatArray | None,
) -> None:
    dmixed_ND = ws.y_ND
    if c.masks is not None:
        dbranch_ND = np.multiply(dbranch_ND, c.masks.projection_ND, out=dnorm_ND)
    linear_backward(
        dbranch_ND,
        c.mixed_ND,
        p.projection_DD,
        ws.ones_N,
        dmixed_ND,
        dp.projection_DD,
        dp.projection_bias_D,
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
    linear_backward(ws.dqkv_N3D, c.norm1_ND, p.qkv_D3D, ws.ones_N, dnorm_ND, dp.qkv_D3D, None, spare)


def _feed_forward_branch_forward(
    p: LayerTensors, c: LayerCache, ws: Workspace, branch_ND: FloatArray, *, training: bool
) -> None:
    linear_forward(c.norm2_ND, p.up_DF, p.up_bias_F, c.hidden_NF)
    gelu_forward(c.hidden_NF, c.dgelu_NF if training else None, ws.gelu_2W)
    linear_forward(c.hidden_NF, p.down_FD, p.down_bias_D, branch_ND)
    if training and c.masks is not None:
        np.multiply(branch_ND, c.masks.down_ND, out=branch_ND)


def _feed_forward_branch_backward(
    p: LayerTensors,
    dp: LayerTensors,
    c: LayerCache,
    ws: Workspace,
    dbranch_ND: FloatArray,
    dnorm_ND: FloatArray,
    spare: FloatArray | None,
) -> None:
    if c.masks is not None:
        dbranch_ND = np.multiply(dbranch_ND, c.masks.down_ND, out=ws.y_ND)
    linear_backward(
        dbranch_ND, c.hidden_NF, p.down_FD, ws.ones_N, ws.dhidden_NF, dp.down_FD, dp.down_bias_D, spare
    )
    gelu_backward(ws.dhidden_NF, c.dgelu_NF)
    linear_backward(ws.dhidden_NF, c.norm2_ND, p.up_DF, ws.ones_N, dnorm_ND, dp.up_DF, dp.up_bias_F, spare)


def _norm_backward(
    dy_ND: FloatArray,
    xhat_ND: FloatArray,
    rstd_N: FloatArray,
    gain_D: FloatArray,
    dgain_D: FloatArray,
    dbias_D: FloatArray,
    ws: Workspace,
    spare: FloatArray | None,
) -> None:
    """A layer norm's backward, in place of its output's gradient."""
    layer_norm_backward(
        dy_ND,
        xhat_ND,
        rstd_N,
        gain_D,
        ws.mean_D,
        ws.ones_N,
        dy_ND,
        dgain_D,
        dbias_D,
        ws.row_N,
        ws.work_ND,
        spare,
    )
