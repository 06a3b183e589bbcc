"""The layers of a GPT but for attention: forward beside backward, derived by hand.

Every function writes into arrays that it is given, so that a training step allocates nothing. What a backward
needs from its forward is passed from one to the other by name. Sums over rows or columns are products with a
vector of ones: BLAS does them several times as fast as `sum(axis)`.

`spare` arguments: see `arrays.product_into`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .arrays import FloatArray, IdArray, product_into

LAYER_NORM_EPS = 1e-5
GELU_BLOCK = 65_536
"""Elements of the feed-forward's hidden layer that are worked on at once, so that they stay in the cache."""


# Linear: y = x @ w + b


def linear_forward(x_NI: FloatArray, w_IO: FloatArray, b_O: FloatArray | None, y_NO: FloatArray) -> None:
    """y = x @ w + b."""
    np.matmul(x_NI, w_IO, out=y_NO)
    if b_O is not None:
        np.add(y_NO, b_O, out=y_NO)


def linear_backward(
    dy_NO: FloatArray,
    x_NI: FloatArray,
    w_IO: FloatArray,
    ones_N: FloatArray,
    dx_NI: FloatArray | None,
    dw_IO: FloatArray,
    db_O: FloatArray | None,
    spare: FloatArray | None,
) -> None:
    """dx = dy @ w.T, dw = x.T @ dy, db = the sum of dy's rows. `dx_NI` may be None where nobody needs it."""
    if dx_NI is not None:
        np.matmul(dy_NO, w_IO.T, out=dx_NI)
    product_into(x_NI.T, dy_NO, dw_IO, spare)
    if db_O is not None:
        product_into(ones_N, dy_NO, db_O, spare)


# Layer norm: y = xhat * gain + bias, xhat = (x - mean(x)) * rstd, rstd = 1 / sqrt(var(x) + eps)


def layer_norm_forward(
    x_ND: FloatArray,
    gain_D: FloatArray,
    bias_D: FloatArray,
    mean_D: FloatArray,
    xhat_ND: FloatArray,
    rstd_N: FloatArray,
    y_ND: FloatArray,
) -> None:
    """Normalise each row. `mean_D` holds 1/D everywhere; `y_ND` may be `x_ND` itself.

    Source: Ba, Kiros and Hinton, "Layer Normalization" (2016), with the biased variance.
    """
    np.matmul(x_ND, mean_D, out=rstd_N)
    np.subtract(x_ND, rstd_N[:, None], out=xhat_ND)
    np.multiply(xhat_ND, xhat_ND, out=y_ND)
    np.matmul(y_ND, mean_D, out=rstd_N)
    np.add(rstd_N, LAYER_NORM_EPS, out=rstd_N)
    np.sqrt(rstd_N, out=rstd_N)
    np.reciprocal(rstd_N, out=rstd_N)
    np.multiply(xhat_ND, rstd_N[:, None], out=xhat_ND)
    np.multiply(xhat_ND, gain_D, out=y_ND)
    np.add(y_ND, bias_D, out=y_ND)


def layer_norm_backward(
    dy_ND: FloatArray,
    xhat_ND: FloatArray,
    rstd_N: FloatArray,
    gain_D: FloatArray,
    mean_D: FloatArray,
    ones_N: FloatArray,
    dx_ND: FloatArray,
    dgain_D: FloatArray,
    dbias_D: FloatArray,
    row_N: FloatArray,
    work_ND: FloatArray,
    spare: FloatArray | None,
) -> None:
    """With dxhat = dy * gain:  dx = rstd * (dxhat - mean(dxhat) - xhat * mean(dxhat * xhat)).

    The two means are what a shift and a stretch of the row would have changed: the norm takes both out
    again, so their part of the gradient goes too. dgain = sum of dy * xhat, dbias = sum of dy, over rows.
    `dx_ND` may be `dy_ND`.
    """
    product_into(ones_N, dy_ND, dbias_D, spare)
    np.multiply(dy_ND, xhat_ND, out=work_ND)
    product_into(ones_N, work_ND, dgain_D, spare)
    np.multiply(work_ND, gain_D, out=work_ND)
    np.matmul(work_ND, mean_D, out=row_N)
    np.multiply(xhat_ND, row_N[:, None], out=work_ND)
    np.multiply(dy_ND, gain_D, out=dx_ND)
    np.matmul(dx_ND, mean_D, out=row_N)
    np.subtract(dx_ND, work_ND, out=dx_ND)
    np.subtract(dx_ND, row_N[:, None], out=dx_ND)
    np.multiply(dx_ND, rstd_N[:, None], out=dx_ND)


# GELU: u * sigma(u), sigma(u) = (1 + tanh(c0 * (u + c1 * u^3))) / 2

_C0 = math.sqrt(2 / math.pi)
_C1 = 0.044715


def gelu_forward(u_NF: FloatArray, dgelu_NF: FloatArray | None, work_2W: FloatArray) -> None:
    """Replace u by gelu(u) and keep the derivative for the backward, while both are in the cache.

    With h = u * sigma:  gelu'(u) = sigma + h * (1 - sigma) * (2 * c0 + 6 * c0 * c1 * u^2).
    `dgelu_NF` is None when there will be no backward. `work_2W` is two vectors of `GELU_BLOCK` elements.

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016), the tanh form.
    """
    flat_u = u_NF.reshape(-1)
    flat_dgelu = None if dgelu_NF is None else dgelu_NF.reshape(-1)
    for start in range(0, flat_u.size, GELU_BLOCK):
        u = flat_u[start : start + GELU_BLOCK]
        square, sigma = work_2W[0, : u.size], work_2W[1, : u.size]
        np.multiply(u, u, out=square)
        np.multiply(square, _C0 * _C1, out=sigma)
        np.add(sigma, _C0, out=sigma)
        np.multiply(sigma, u, out=sigma)
        np.tanh(sigma, out=sigma)
        np.multiply(sigma, 0.5, out=sigma)
        np.add(sigma, 0.5, out=sigma)
        np.multiply(u, sigma, out=u)
        if flat_dgelu is not None:
            dgelu = flat_dgelu[start : start + GELU_BLOCK]
            np.multiply(square, 6 * _C0 * _C1, out=square)
            np.add(square, 2 * _C0, out=square)
            np.multiply(square, u, out=square)
            np.subtract(1, sigma, out=dgelu)
            np.multiply(dgelu, square, out=dgelu)
            np.add(dgelu, sigma, out=dgelu)


def gelu_backward(dh_NF: FloatArray, dgelu_NF: FloatArray) -> None:
    """dh becomes du = dh * gelu'(u)."""
    np.multiply(dh_NF, dgelu_NF, out=dh_NF)


def gelu_of_vector(u_F: FloatArray) -> FloatArray:
    """gelu(u) of one short vector, for decoding."""
    return u_F * (0.5 + 0.5 * np.tanh(u_F * (_C0 + _C0 * _C1 * (u_F * u_F))))


# Embedding: x = table[ids] + positions


def embedding_forward(
    ids_N: IdArray, table_VD: FloatArray, positions_TD: FloatArray, x_ND: FloatArray
) -> None:
    """Look up each token's row and add its position's; x holds whole sequences, one after the other."""
    np.take(table_VD, ids_N, axis=0, out=x_ND, mode="clip")
    x_BTD = x_ND.reshape(-1, *positions_TD.shape)
    np.add(x_BTD, positions_TD, out=x_BTD)


def embedding_backward(ids_N: IdArray, dx_ND: FloatArray, dtable_VD: FloatArray, *, add: bool) -> None:
    """Each row of the table gathers the gradients of all places where its token stood.

    Sorted by token, equal ones lie together and `reduceat` sums each group in one pass: eight times as fast
    as `np.add.at` at width 64. This is the one place where a step allocates, a few arrays the size of dx.
    """
    if not add:
        dtable_VD.fill(0)
    order = np.argsort(ids_N, kind="stable")
    sorted_ids = ids_N[order]
    firsts = np.flatnonzero(np.diff(sorted_ids, prepend=-1))
    dtable_VD[sorted_ids[firsts]] += np.add.reduceat(dx_ND[order], firsts, axis=0)


# Softmax and cross-entropy: loss = log(sum(exp(logits))) - logits[target], summed over rows

SAFE_SUM = 1e30
"""Sums of exponentials between 1/SAFE_SUM and SAFE_SUM are exact enough with no maximum taken out."""


def sums_are_safe(sums: FloatArray) -> bool:
    """Whether exponentials could be summed as they were: False for too large, too small and NaN."""
    return bool(sums.max() < SAFE_SUM and sums.min() > 1 / SAFE_SUM)


def cross_entropy_forward(
    logits_NV: FloatArray,
    targets_N: IdArray,
    rows_N: IdArray,
    ones_V: FloatArray,
    sums_N: FloatArray,
    remake_logits: Callable[[], None],
) -> float:
    """The summed loss in nats; logits become their exponentials, `sums_N` the sums of their rows.

    Looking for each row's maximum costs as much as the exponentials, and logits seldom need it. So it is
    taken out only when the sums turn out unsafe, after `remake_logits` has filled `logits_NV` once more.
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
    exp_NV: FloatArray, targets_N: IdArray, rows_N: IdArray, sums_N: FloatArray, n_total: int
) -> None:
    """Make `exp_NV` and `sums_N` into dlogits = exp * sums[:, None], for the mean loss over `n_total` tokens.

    dlogits = (softmax - onehot) / n_total. The division by the row's sum is left for the caller to do on
    the narrow side of the next product, where it costs D and not V multiplications a row.
    """
    exp_NV[rows_N, targets_N] -= sums_N
    np.multiply(sums_N, n_total, out=sums_N)
    np.reciprocal(sums_N, out=sums_N)


# Dropout: y = x * mask, mask = 0 with probability p, else 1 / (1 - p)


def dropout_mask(uniform: FloatArray, dropout: float) -> None:
    """Turn uniform random numbers into the mask, in place. Multiplying by it is forward and backward.

    Source: Srivastava et al., "Dropout" (2014), in its inverted form: nothing changes when sampling.
    """
    np.greater_equal(uniform, dropout, out=uniform, casting="unsafe")
    np.multiply(uniform, 1 / (1 - dropout), out=uniform)
