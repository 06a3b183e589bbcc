"""Ideas for a faster step, each beside what it would replace, at the shapes of a thread's share of entry 2.

    python tests/bench/ideas.py

Both sides are timed in turn, and the least time of many is printed, in microseconds. What paid is in the
core; the rest is here, so that nobody has to try it again: leaving out the masked half of attention and
turning the keys save a hundredth of a step between them, and cost more lines than they are worth.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from harness import in_turn, options, seconds_of

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from femtotui.core.model import layers
from femtotui.core.model.attention import AttentionShape, attention_backward, attention_forward

B, T, D, H, V = 16, 64, 64, 4, 256
N, S = B * T, D // H
ROUNDS = 300


def array(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def compare(what: str, ways: dict[str, Callable[[], object]]) -> None:
    """Print the least times of two ways, in turn."""
    old, new = ways
    old_us, new_us = (
        1e6 * min(times) for times in in_turn(ROUNDS, *(partial(seconds_of, run) for run in ways.values()))
    )
    print(f"{what:30} {old:18} {old_us:7.1f}   {new:24} {new_us:7.1f}   x {old_us / new_us:.2f}", flush=True)


def sums_as_products() -> None:
    x, ones, out = array(N, V), np.ones(V, np.float32), np.empty(N, np.float32)
    compare(
        "row sums of (1024, 256)",
        {"sum(axis=1)": lambda: np.sum(x, axis=1, out=out), "x @ ones": lambda: np.matmul(x, ones, out=out)},
    )


def softmax_without_maximum() -> None:
    x, out = array(N, V), np.empty((N, V), np.float32)
    row, ones = np.empty(N, np.float32), np.ones(V, np.float32)

    def careful() -> None:
        np.max(x, axis=1, out=row)
        np.subtract(x, row[:, None], out=out)
        np.exp(out, out=out)
        np.matmul(out, ones, out=row)

    def checked() -> None:
        np.exp(x, out=out)
        np.matmul(out, ones, out=row)
        layers.sums_are_safe(row)

    compare("softmax of (1024, 256)", {"less its maximum": careful, "as it is, checked": checked})


def norms_folded() -> None:
    x, xhat, row, work = array(N, D), array(N, D), array(N), array(N, D)
    mean, gain, bias, ones = np.full(D, 1 / D, np.float32), array(D), array(D), np.ones(N, np.float32)

    def whole() -> None:
        layers.centre_rows(x, mean, row, xhat)
        layers.rms_norm_forward(xhat, mean, xhat, row, work)
        np.multiply(xhat, gain, out=work)
        np.add(work, bias, out=work)
        layers.scale_and_shift_backward(work, xhat, gain, ones, array_d, array_d2, dx, None)
        layers.rms_norm_backward(work, xhat, row, mean, row2, dx)
        layers.centre_rows(work, mean, row2, work)

    def folded() -> None:
        layers.rms_norm_forward(x, mean, xhat, row, work)
        layers.rms_norm_backward(work, xhat, row, mean, row2, dx)

    array_d, array_d2, dx, row2 = array(D), array(D), array(N, D), array(N)
    compare("layer norm, forward and backward", {"as written": whole, "folded (RMS)": folded})


def bias_in_the_product() -> None:
    x, w, b, y = array(N, D), array(D, 4 * D), array(4 * D), np.empty((N, 4 * D), np.float32)
    x_and_one, w_and_b = array(N, D + 16)[:, : D + 1], array(D + 1, 4 * D)
    compare(
        "x @ W + b, (1024, 64) to 256",
        {
            "product, then sum": lambda: np.add(np.matmul(x, w, out=y), b, out=y),
            "a column of ones": lambda: np.matmul(x_and_one, w_and_b, out=y),
        },
    )


def embedding_gradient() -> None:
    ids, dx = np.random.default_rng(0).integers(0, 15, N).astype(np.int32), array(N, D)
    table, one_hot, rows = np.zeros((V, D), np.float32), np.zeros((N, V), np.float32), np.arange(N)

    def product() -> None:
        one_hot[rows, ids] = 1
        np.matmul(one_hot.T, dx, out=table)
        one_hot[rows, ids] = 0

    def ours() -> None:
        layers.embedding_backward(ids, dx, table, add=False)

    added = {"np.add.at": lambda: np.add.at(table, ids, dx), "sorted, reduceat": ours}
    compare("embedding gradient", added)
    compare("embedding gradient", {"one-hot product": product, "sorted, reduceat": ours})


def masked_half_of_attention() -> None:
    """Rows in two blocks, the first of which needs only half of the columns."""
    shape = AttentionShape.of(H, S, T, np.dtype(np.float32))
    qkv, out, dout, dqkv = array(N, 3 * D), array(N, D), array(N, D), array(N, 3 * D)
    exp, work, reciprocal = array(B, H, T, T), array(B, H, T, T), array(N, H)
    work_nd, work_nh, half = array(N, D), array(N, H), T // 2
    exp1, exp2, work1, work2 = (array(B, H, half, columns) for columns in (half, T, half, T))
    low1, low2 = np.tri(half, dtype=np.float32), np.ascontiguousarray(np.tri(T, dtype=np.float32)[half:])
    part = array(B, H, half, S)

    def whole() -> None:
        attention_forward(qkv, shape, exp, reciprocal, out, work_nd, work, None)
        work_nd[...] = dout
        attention_backward(
            work_nd.copy(), qkv, shape, exp, reciprocal, out, dqkv, work_nd, work_nh, work, None
        )

    def halves() -> None:
        q, k, v = (shape.heads(qkv[:, i * D : (i + 1) * D]) for i in range(3))
        dq, dk, dv = (shape.heads(dqkv[:, i * D : (i + 1) * D]) for i in range(3))
        o, sums = shape.heads(out), reciprocal.reshape(B, T, H).transpose(0, 2, 1)
        upper, lower = (slice(half), slice(half)), (slice(half, T), slice(T))
        for e, low, (at, to) in ((exp1, low1, upper), (exp2, low2, lower)):
            np.matmul(q[:, :, at], k[:, :, to].swapaxes(-1, -2), out=e)
            np.exp(e, out=e)
            np.multiply(e, low, out=e)
            np.matmul(e, shape.ones_T[to], out=sums[:, :, at])
            np.matmul(e, v[:, :, to], out=o[:, :, at])
        layers.sums_are_safe(reciprocal)
        np.reciprocal(reciprocal, out=reciprocal)
        np.matmul(reciprocal, shape.spread_HD, out=work_nd)
        np.multiply(out, work_nd, out=out)
        scaled = dout * work_nd
        np.multiply(scaled, out, out=work_nd)
        np.matmul(work_nd, shape.spread_HD.T, out=work_nh)
        do, less = shape.heads(scaled), work_nh.reshape(B, T, H).transpose(0, 2, 1)[..., None]
        for e, w, (at, to) in ((exp2, work2, lower), (exp1, work1, upper)):
            np.matmul(do[:, :, at], v[:, :, to].swapaxes(-1, -2), out=w)
            np.subtract(w, less[:, :, at], out=w)
            np.multiply(w, e, out=w)
            np.matmul(w, k[:, :, to], out=dq[:, :, at])
            for rows, source, target in ((e, do, dv), (w, q, dk)):
                if to.stop == T:
                    np.matmul(rows.swapaxes(-1, -2), source[:, :, at], out=target)
                else:
                    np.matmul(rows.swapaxes(-1, -2), source[:, :, at], out=part)
                    np.add(target[:, :, to], part, out=target[:, :, to])

    compare("attention, both ways", {"whole, then masked": whole, "without the masked half": halves})


def keys_transposed() -> None:
    qkv, scores = array(N, 3 * D), np.empty((B, H, T, T), np.float32)
    q, k = (qkv[:, i * D : (i + 1) * D].reshape(B, T, H, S).transpose(0, 2, 1, 3) for i in range(2))
    turned = np.empty((B, H, S, T), np.float32)

    def copied() -> None:
        np.copyto(turned, k.swapaxes(-1, -2))
        np.matmul(q, turned, out=scores)

    def strided() -> None:
        np.matmul(q, k.swapaxes(-1, -2), out=scores)

    compare("scores q @ k.T", {"strided views": strided, "keys turned first": copied})


def main() -> None:
    """Print a line per idea: the old way and its time, the new way and its time, and the ratio."""
    options(__doc__).parse_args()
    with np.errstate(all="ignore"):
        for idea in (sums_as_products, softmax_without_maximum, norms_folded, bias_in_the_product):
            idea()
        for idea in (embedding_gradient, masked_half_of_attention, keys_transposed):
            idea()


if __name__ == "__main__":
    main()
