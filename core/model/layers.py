"""The layers of a GPT except attention: forward beside backward, derived by hand.

Every function writes to arrays that it is given, so that a training step allocates nothing; what a backward
needs from its forward is an argument of both. Sums over rows or columns are products with a vector of ones:
BLAS is several times as fast as `sum(axis)`. For `spare` arguments see `product_into`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""float32 in training, float64 in the gradient checks."""

IdArray: TypeAlias = NDArray[np.int32]

LAYER_NORM_EPS = 1e-5
GELU_BLOCK = 65_536
"""Elements of the feed-forward's hidden layer that are processed at once, so that they stay in the cache."""


def product_into(a: FloatArray, b: FloatArray, out: FloatArray, spare: FloatArray | None) -> None:
    """Write `out = a @ b`; with a `spare` vector of at least `out.size` elements, add: `out += a @ b`."""
    if spare is None:
        np.matmul(a, b, out=out)
    else:
        part = spare[: out.size].reshape(out.shape)
        np.matmul(a, b, out=part)
        np.add(out, part, out=out)


# Linear: y = x @ w + b; where x has a column of ones, b is the last row of w


def linear_forward(x_NI: FloatArray, w_IO: FloatArray, b_O: FloatArray | None, y_NO: FloatArray) -> None:
    """Compute y = x @ w + b."""
    np.matmul(x_NI, w_IO, out=y_NO)
    if b_O is not None:
        np.add(y_NO, b_O, out=y_NO)


def linear_backward(
    dy_NO: FloatArray,
    x_NI: FloatArray,
    w_JO: FloatArray,
    ones_N: FloatArray,
    dx_NJ: FloatArray,
    dw_IO: FloatArray,
    db_O: FloatArray | None,
    spare: FloatArray | None,
) -> None:
    """Compute dx = dy @ w.T, dw = x.T @ dy, and db = the sum of dy's rows.

    `w_JO` is w without its last row where that is the bias: a column of ones needs no gradient.
    """
    np.matmul(dy_NO, w_JO.T, out=dx_NJ)
    product_into(x_NI.T, dy_NO, dw_IO, spare)
    if db_O is not None:
        product_into(ones_N, dy_NO, db_O, spare)


# RMS norm: xhat = x * rrms, rrms = 1 / sqrt(mean(x^2) + eps); layer norm does this to centred rows


def rms_norm_forward(
    x_ND: FloatArray, mean_D: FloatArray, xhat_ND: FloatArray, rrms_N: FloatArray, work_ND: FloatArray
) -> None:
    """Divide each row by its root mean square. `mean_D` holds 1/D everywhere.

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization" (2019); `folding` does the rest of a
    layer norm.
    """
    np.multiply(x_ND, x_ND, out=work_ND)
    np.matmul(work_ND, mean_D, out=rrms_N)
    np.add(rrms_N, LAYER_NORM_EPS, out=rrms_N)
    np.sqrt(rrms_N, out=rrms_N)
    np.reciprocal(rrms_N, out=rrms_N)
    np.multiply(x_ND, rrms_N[:, None], out=xhat_ND)


def rms_norm_backward(
    dx_ND: FloatArray,
    xhat_ND: FloatArray,
    rrms_N: FloatArray,
    mean_D: FloatArray,
    row_N: FloatArray,
    work_ND: FloatArray,
) -> None:
    """Turn dxhat into dx = rrms * (dxhat - xhat * mean(dxhat * xhat)), in place."""
    np.multiply(dx_ND, xhat_ND, out=work_ND)
    np.matmul(work_ND, mean_D, out=row_N)
    np.multiply(xhat_ND, row_N[:, None], out=work_ND)
    np.subtract(dx_ND, work_ND, out=dx_ND)
    np.multiply(dx_ND, rrms_N[:, None], out=dx_ND)


def centre_rows(x_ND: FloatArray, mean_D: FloatArray, row_N: FloatArray, out_ND: FloatArray) -> None:
    """Subtract each row's mean: forward and backward are the same."""
    np.matmul(x_ND, mean_D, out=row_N)
    np.subtract(x_ND, row_N[:, None], out=out_ND)


def scale_and_shift_backward(
    dy_ND: FloatArray,
    xhat_ND: FloatArray,
    gain_D: FloatArray,
    ones_N: FloatArray,
    dgain_D: FloatArray,
    dbias_D: FloatArray,
    work_ND: FloatArray,
    spare: FloatArray | None,
) -> None:
    """Backward of y = xhat * gain + bias: turn dy into dxhat, in place."""
    product_into(ones_N, dy_ND, dbias_D, spare)
    np.multiply(dy_ND, xhat_ND, out=work_ND)
    product_into(ones_N, work_ND, dgain_D, spare)
    np.multiply(dy_ND, gain_D, out=dy_ND)


# GELU: u * sigma(u), sigma(u) = (1 + tanh(c0 * (u + c1 * u^3))) / 2

_C0 = math.sqrt(2 / math.pi)
_C1 = 0.044715

GELU_SCALE = (_C0 * _C1) ** (1 / 3)
"""a: with v = a * u, the tanh's argument is v^3 + _BETA * v."""

_BETA = _C0 / GELU_SCALE


def gelu_forward(v_NF: FloatArray, dgelu_NF: FloatArray | None, work_2W: FloatArray) -> None:
    """Replace v = a * u by h = 2 * a * gelu(u), and compute dh/dv while both are in the cache.

    a = `GELU_SCALE` saves three passes over the widest array of the model; `folding` multiplies the weights
    before by it and divides those after. With t = 1 + tanh(v^3 + beta * v):

        h = v * t,   dh/dv = t + h * (2 - t) * (3 * v^2 + beta)

    `dgelu_NF` is None if there is no backward. `work_2W` is two vectors of `GELU_BLOCK` elements.

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016), the tanh form.
    """
    flat_v = v_NF.reshape(-1)
    flat_dgelu = None if dgelu_NF is None else dgelu_NF.reshape(-1)
    for start in range(0, flat_v.size, GELU_BLOCK):
        v = flat_v[start : start + GELU_BLOCK]
        square, t = work_2W[0, : v.size], work_2W[1, : v.size]
        gelu_block(v, square, t)
        if flat_dgelu is not None:
            dgelu = flat_dgelu[start : start + GELU_BLOCK]
            np.multiply(square, 3, out=square)
            np.add(square, _BETA, out=square)
            np.multiply(square, v, out=square)
            np.subtract(2, t, out=dgelu)
            np.multiply(dgelu, square, out=dgelu)
            np.add(dgelu, t, out=dgelu)


def gelu_backward(dh_NF: FloatArray, dgelu_NF: FloatArray) -> None:
    """Turn dh into dv = dh * dh/dv, in place."""
    np.multiply(dh_NF, dgelu_NF, out=dh_NF)


def gelu_block(v: FloatArray, square: FloatArray, t: FloatArray) -> None:
    """Replace v by h, filling `square` with v^2 and `t`; one array may serve as both if neither is needed."""
    np.multiply(v, v, out=square)
    np.add(square, _BETA, out=t)
    np.multiply(t, v, out=t)
    np.tanh(t, out=t)
    np.add(t, 1, out=t)
    np.multiply(v, t, out=v)


# Embedding: x = table[ids] + positions


def embedding_forward(
    ids_N: IdArray, table_VD: FloatArray, positions_TD: FloatArray, x_ND: FloatArray
) -> None:
    """Look up each token's row and add its position's; x is concatenated sequences."""
    np.take(table_VD, ids_N, axis=0, out=x_ND, mode="clip")
    x_BTD = x_ND.reshape(-1, *positions_TD.shape)
    np.add(x_BTD, positions_TD, out=x_BTD)


def embedding_backward(ids_N: IdArray, dx_ND: FloatArray, dtable_VD: FloatArray, *, add: bool) -> None:
    """Sum the gradients of all positions of each token into its row of the table.

    Sorted by token, `reduceat` sums each group in one pass: eight times as fast as `np.add.at` at width 64.
    It allocates a few arrays the size of dx, the only ones in a step.
    """
    if not add:
        dtable_VD.fill(0)
    order = np.argsort(ids_N, kind="stable")
    sorted_ids = ids_N[order]
    firsts = np.flatnonzero(np.diff(sorted_ids, prepend=-1))
    dtable_VD[sorted_ids[firsts]] += np.add.reduceat(dx_ND[order], firsts, axis=0)


# Softmax and cross-entropy: loss = log(sum(exp(logits))) - logits[target], summed over rows

SAFE_SUM = 1e30
"""Sums of exponentials between 1/SAFE_SUM and SAFE_SUM are precise without subtracting the maximum."""


def sums_are_safe(sums: FloatArray) -> bool:
    """Whether sums of exponentials are precise: False for too large, too small and NaN."""
    return bool(sums.max() < SAFE_SUM and sums.min() > 1 / SAFE_SUM)


def cross_entropy_forward(
    logits_NV: FloatArray,
    targets_N: IdArray,
    rows_N: NDArray[np.intp],
    ones_V: FloatArray,
    sums_N: FloatArray,
    remake_logits: Callable[[], None],
) -> float:
    """The summed loss in nats; logits become their exponentials, `sums_N` the sums of their rows.

    Finding each row's maximum costs as much as the exponentials, and is seldom needed. So it is subtracted
    only if the sums turn out unsafe, after `remake_logits` has filled `logits_NV` again.
    """
    picked_N = logits_NV[rows_N, targets_N]
    np.exp(logits_NV, out=logits_NV)
    np.matmul(logits_NV, ones_V, out=sums_N)
    if not sums_are_safe(sums_N):
        remake_logits()
        np.subtract(logits_NV, logits_NV.max(axis=1, keepdims=True), out=logits_NV)
        picked_N = logits_NV[rows_N, targets_N]
        np.exp(logits_NV, out=logits_NV)
        np.matmul(logits_NV, ones_V, out=sums_N)
    return float(np.log(sums_N).sum(dtype=np.float64) - picked_N.sum(dtype=np.float64))


def cross_entropy_backward(
    exp_NV: FloatArray, targets_N: IdArray, rows_N: NDArray[np.intp], sums_N: FloatArray, n_total: int
) -> None:
    """Turn `exp_NV` and `sums_N` into dlogits = exp * sums[:, None], for the mean loss over `n_total` tokens.

    dlogits = (softmax - onehot) / n_total. The caller multiplies by the sums on the narrow side of the next
    product, where it costs D and not V multiplications per row.
    """
    exp_NV[rows_N, targets_N] -= sums_N
    np.multiply(sums_N, n_total, out=sums_N)
    np.reciprocal(sums_N, out=sums_N)


# Dropout: y = x * mask, mask = 0 with probability p, else 1 / (1 - p)


def dropout_mask(uniform: FloatArray, dropout: float) -> None:
    """Turn uniform random numbers into the mask, in place. Multiplying by it is both forward and backward.

    Source: Srivastava et al., "Dropout" (2014), in its inverted form: sampling needs no scaling.
    """
    np.greater_equal(uniform, dropout, out=uniform, casting="unsafe")
    np.multiply(uniform, 1 / (1 - dropout), out=uniform)
