"""Causal multi-head attention: forward beside backward, and the cached step for one new token.

For each sequence and head, with q, k, v of shape (T, S):

    E = exp(q @ k.T) below and on the diagonal, 0 above       (T, T)
    s = the sums of E's rows                                  (T,)
    o = (E @ v) / s                                           (T, S)

The scale 1/sqrt(S) is already in q: `folding` multiplies it into the weights once per step. E is never
divided by s; dividing o, which is narrower, is enough. For the backward, with P = E / s:

    dv = P.T @ do          = E.T @ (do / s)
    dP = do @ v.T
    dscores = P * (dP - sum(dP * P))  and  sum(dP * P) = sum(do * o),  per row
            = E * ((do / s) @ v.T - sum((do / s) * o))
    dq = dscores @ k,  dk = dscores.T @ q

so s enters through (do / s) only. Where scores are so large that a row's maximum must be subtracted,
softmax is nearly a step, dP - sum(dP * P) is a difference of nearly equal numbers, and k makes much of what
is left: there the sum is taken over dP * P itself, in whose rounding both agree. Heads are strided views of
the wide arrays, which BLAS accepts: nothing is transposed in memory. Sums over a head's S columns, repeated
for each of them, are products with `spread_HD` (1 where the column belongs to the head), since NumPy is
slow on rows of 16.

Source: Vaswani et al., "Attention Is All You Need" (2017); the sum over do * o as in Dao et al.,
"FlashAttention" (2022), appendix B.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .layers import FloatArray, sums_are_safe


@dataclass(frozen=True)
class AttentionShape:
    """The layout of an (N, 3D) array of queries, keys and values, and constant arrays for it."""

    n_heads: int
    context: int
    causal_TT: FloatArray
    spread_HD: FloatArray
    ones_T: FloatArray

    @classmethod
    def of(cls, n_heads: int, head_size: int, context: int, dtype: np.dtype[np.floating]) -> AttentionShape:
        return cls(
            n_heads,
            context,
            np.tri(context, dtype=dtype),
            np.repeat(np.eye(n_heads, dtype=dtype), head_size, axis=1),
            np.ones(context, dtype),
        )

    def heads(self, x_ND: FloatArray) -> FloatArray:
        """A view (B, H, T, S) of an array (N, D), which may be columns of a wider one."""
        x_BTHS = np.reshape(x_ND, (-1, self.context, self.n_heads, x_ND.shape[1] // self.n_heads), copy=False)
        return x_BTHS.transpose(0, 2, 1, 3)


def attention_forward(
    qkv_N3D: FloatArray,
    shape: AttentionShape,
    exp_BHTT: FloatArray,
    reciprocal_NH: FloatArray,
    out_ND: FloatArray,
    work_ND: FloatArray,
    work_BHTT: FloatArray,
    mask_BHTT: FloatArray | None,
) -> bool:
    """Fill `out_ND`, and `exp_BHTT` and `reciprocal_NH` (E and 1/s) for the backward.

    Returns whether each row's maximum had to be subtracted. `mask_BHTT` is the dropout mask of the
    attention weights.
    """
    d = out_ND.shape[1]
    q, k, v = (shape.heads(qkv_N3D[:, i * d : (i + 1) * d]) for i in range(3))
    sums_BHT = reciprocal_NH.reshape(-1, shape.context, shape.n_heads).transpose(0, 2, 1)
    np.matmul(q, k.swapaxes(-1, -2), out=exp_BHTT)
    np.exp(exp_BHTT, out=exp_BHTT)
    np.multiply(exp_BHTT, shape.causal_TT, out=exp_BHTT)
    np.matmul(exp_BHTT, shape.ones_T, out=sums_BHT)
    is_large = not sums_are_safe(reciprocal_NH)
    if is_large:
        _stable_exponentials(q, k, shape, exp_BHTT)
        np.matmul(exp_BHTT, shape.ones_T, out=sums_BHT)
    np.reciprocal(reciprocal_NH, out=reciprocal_NH)
    weights = exp_BHTT if mask_BHTT is None else np.multiply(exp_BHTT, mask_BHTT, out=work_BHTT)
    np.matmul(weights, v, out=shape.heads(out_ND))
    np.matmul(reciprocal_NH, shape.spread_HD, out=work_ND)
    np.multiply(out_ND, work_ND, out=out_ND)
    return is_large


def _stable_exponentials(
    q_BHTS: FloatArray, k_BHTS: FloatArray, shape: AttentionShape, exp_BHTT: FloatArray
) -> None:
    """E with each row's maximum subtracted, for scores that overflow or vanish without: rare, and slower."""
    np.matmul(q_BHTS, k_BHTS.swapaxes(-1, -2), out=exp_BHTT)
    np.copyto(exp_BHTT, -np.inf, where=shape.causal_TT == 0)
    np.subtract(exp_BHTT, exp_BHTT.max(axis=-1, keepdims=True), out=exp_BHTT)
    np.exp(exp_BHTT, out=exp_BHTT)


def attention_backward(
    dout_ND: FloatArray,
    qkv_N3D: FloatArray,
    shape: AttentionShape,
    exp_BHTT: FloatArray,
    reciprocal_NH: FloatArray,
    out_ND: FloatArray,
    dqkv_N3D: FloatArray,
    work_ND: FloatArray,
    work_NH: FloatArray,
    work_BHTT: FloatArray,
    mask_BHTT: FloatArray | None,
    *,
    is_large: bool,
) -> None:
    """Fill `dqkv_N3D`; `dout_ND` is overwritten. `is_large` is what the forward returned."""
    d = out_ND.shape[1]
    q, k, v = (shape.heads(qkv_N3D[:, i * d : (i + 1) * d]) for i in range(3))
    dq, dk, dv = (shape.heads(dqkv_N3D[:, i * d : (i + 1) * d]) for i in range(3))
    np.matmul(reciprocal_NH, shape.spread_HD, out=work_ND)
    np.multiply(dout_ND, work_ND, out=dout_ND)
    np.multiply(dout_ND, out_ND, out=work_ND)
    np.matmul(work_ND, shape.spread_HD.T, out=work_NH)
    sums_BHT = work_NH.reshape(-1, shape.context, shape.n_heads).transpose(0, 2, 1)
    dout = shape.heads(dout_ND)
    weights = exp_BHTT if mask_BHTT is None else np.multiply(exp_BHTT, mask_BHTT, out=work_BHTT)
    np.matmul(weights.swapaxes(-1, -2), dout, out=dv)
    np.matmul(dout, v.swapaxes(-1, -2), out=work_BHTT)
    if mask_BHTT is not None:
        np.multiply(work_BHTT, mask_BHTT, out=work_BHTT)
    if is_large:
        np.einsum("bhij,bhij->bhi", work_BHTT, exp_BHTT, out=sums_BHT)
        np.multiply(work_NH, reciprocal_NH, out=work_NH)
    np.subtract(work_BHTT, sums_BHT[..., None], out=work_BHTT)
    np.multiply(work_BHTT, exp_BHTT, out=work_BHTT)
    np.matmul(work_BHTT, k, out=dq)
    np.matmul(work_BHTT.swapaxes(-1, -2), q, out=dk)


def cached_attention_step(
    qkv_3HS: FloatArray,
    cache_2HTR: FloatArray,
    t: int,
    out_H1S: FloatArray,
    out_H1R: FloatArray,
    *,
    careful: bool,
) -> None:
    """Write the attention of the token at position `t` to `out_H1S`, adding its key and value to the cache.

    R is S + 1: `cache_2HTR` holds a one after each value, so the product also gives the sum of the
    exponentials. `careful` subtracts each head's maximum score first.
    """
    cache_2HTR[:, :, t, :-1] = qkv_3HS[1:]
    keys_HTR, values_HTR = cache_2HTR[:, :, : t + 1]
    exp_HT1 = np.matmul(keys_HTR[:, :, :-1], qkv_3HS[0, :, :, None])
    if careful:
        np.subtract(exp_HT1, exp_HT1.max(axis=1, keepdims=True), out=exp_HT1)
    np.exp(exp_HT1, out=exp_HT1)
    np.matmul(exp_HT1.transpose(0, 2, 1), values_HTR, out=out_H1R)
    np.divide(out_H1R[:, :, :-1], out_H1R[:, :, -1:], out=out_H1S)
