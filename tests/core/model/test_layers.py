"""Every layer's backward against central differences, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck import check_gradients

from femtotui.core.model import layers
from femtotui.core.model.attention import AttentionShape, attention_backward, attention_forward

N, D, F, V = 6, 5, 20, 7


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_linear(rng):
    x, w, b, weight = (rng.normal(size=s) for s in ((N, D), (D, F), (F,), (N, F)))

    def loss():
        y = np.empty((N, F))
        layers.linear_forward(x, w, b, y)
        return float((y * weight).sum())

    dx, dw, db = np.empty_like(x), np.empty_like(w), np.empty_like(b)
    layers.linear_backward(weight, x, w, np.ones(N), dx, dw, db, None)
    check_gradients(loss, {"x": x, "w": w, "b": b}, {"x": dx, "w": dw, "b": db})


def test_a_bias_may_be_the_last_row_of_the_weight(rng):
    """The input carries a column of ones, which wants no gradient."""
    x, w, weight = (rng.normal(size=s) for s in ((N, D), (D + 1, F), (N, F)))
    x_and_one = np.hstack([x, np.ones((N, 1))])
    dx, dw = np.empty_like(x), np.empty_like(w)
    layers.linear_backward(weight, x_and_one, w[:-1], np.ones(N), dx, dw, None, None)

    def loss():
        y = np.empty((N, F))
        x_and_one[:, :-1] = x
        layers.linear_forward(x_and_one, w, None, y)
        return float((y * weight).sum())

    check_gradients(loss, {"x": x, "w": w}, {"x": dx, "w": dw})


def test_gradients_can_be_added_to_what_is_there(rng):
    x, w, dy = (rng.normal(size=s) for s in ((N, D), (D, F), (N, F)))
    dw, db = np.ones_like(w), np.ones(F)
    layers.linear_backward(dy, x, w, np.ones(N), np.empty_like(x), dw, db, np.empty(w.size))
    np.testing.assert_allclose(dw, 1 + x.T @ dy, rtol=1e-12)
    np.testing.assert_allclose(db, 1 + dy.sum(axis=0), rtol=1e-12)


def test_rms_norm(rng):
    x, weight = rng.normal(size=(N, D)), rng.normal(size=(N, D))
    mean = np.full(D, 1 / D)

    def forward():
        xhat, rrms = np.empty_like(x), np.empty(N)
        layers.rms_norm_forward(x, mean, xhat, rrms, np.empty_like(x))
        return xhat, rrms

    xhat, rrms = forward()
    dx = weight.copy()
    layers.rms_norm_backward(dx, xhat, rrms, mean, np.empty(N), np.empty_like(x))
    check_gradients(lambda: float((forward()[0] * weight).sum()), {"x": x}, {"x": dx})
    np.testing.assert_allclose((xhat**2).mean(axis=1), 1, rtol=1e-3)


def test_centring(rng):
    x, weight = rng.normal(size=(N, D)), rng.normal(size=(N, D))
    mean = np.full(D, 1 / D)

    def centred(rows):
        out = np.empty_like(rows)
        layers.centre_rows(rows, mean, np.empty(N), out)
        return out

    assert abs(centred(x).mean(axis=1)).max() < 1e-15
    check_gradients(lambda: float((centred(x) * weight).sum()), {"x": x}, {"x": centred(weight)})


def test_scale_and_shift(rng):
    xhat, gain, bias, weight = (rng.normal(size=s) for s in ((N, D), (D,), (D,), (N, D)))
    dxhat, dgain, dbias = weight.copy(), np.empty(D), np.empty(D)
    layers.scale_and_shift_backward(dxhat, xhat, gain, np.ones(N), dgain, dbias, np.empty((N, D)), None)
    check_gradients(
        lambda: float(((xhat * gain + bias) * weight).sum()),
        {"xhat": xhat, "gain": gain, "bias": bias},
        {"xhat": dxhat, "gain": dgain, "bias": dbias},
    )


def test_gelu(rng):
    v, weight = rng.normal(size=(N, F)), rng.normal(size=(N, F))

    def forward():
        h, dgelu = v.copy(), np.empty_like(v)
        layers.gelu_forward(h, dgelu, np.empty((2, layers.GELU_BLOCK)))
        return h, dgelu

    dv = weight.copy()
    layers.gelu_backward(dv, forward()[1])
    check_gradients(lambda: float((forward()[0] * weight).sum()), {"v": v}, {"v": dv})
    u = v / layers.GELU_SCALE
    plain = 0.5 * u * (1 + np.tanh(np.sqrt(2 / np.pi) * (u + 0.044715 * u**3)))
    np.testing.assert_allclose(forward()[0], 2 * layers.GELU_SCALE * plain, rtol=1e-12)
    row = v[0].copy()
    work = np.empty_like(row)
    layers.gelu_block(row, work, work)
    np.testing.assert_allclose(row, forward()[0][0], rtol=1e-12)


def test_gelu_works_block_by_block(rng):
    u = rng.normal(size=(3, layers.GELU_BLOCK // 2))
    whole, dgelu = u.copy(), np.empty_like(u)
    layers.gelu_forward(whole, dgelu, np.empty((2, layers.GELU_BLOCK)))
    for row, h, d in zip(u, whole, dgelu, strict=True):
        alone, dalone = row.copy(), np.empty_like(row)
        layers.gelu_forward(alone, dalone, np.empty((2, layers.GELU_BLOCK)))
        np.testing.assert_array_equal(alone, h)
        np.testing.assert_array_equal(dalone, d)


def test_embedding_gathers_what_repeated_tokens_are_owed(rng):
    table, positions, weight = (rng.normal(size=s) for s in ((V, D), (3, D), (N, D)))
    ids = np.array([0, 3, 3, 6, 3, 1], np.int32)

    def loss():
        x = np.empty((N, D))
        layers.embedding_forward(ids, table, positions, x)
        return float((x * weight).sum())

    dtable = np.full_like(table, 9.0)
    layers.embedding_backward(ids, weight, dtable, add=False)
    assert not dtable[[2, 4, 5]].any()
    used = sorted(set(ids.tolist()))
    kept = table[used].copy()

    def loss_of_used_rows():
        table[used] = kept
        return loss()

    check_gradients(loss_of_used_rows, {"used rows": kept}, {"used rows": dtable[used]})
    twice = dtable.copy()
    layers.embedding_backward(ids, weight, twice, add=True)
    np.testing.assert_allclose(twice, 2 * dtable, rtol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 900.0, -900.0], ids=["plain", "overflowing", "underflowing"])
def test_cross_entropy(rng, offset):
    logits, targets = rng.normal(size=(N, V)) + offset, rng.integers(0, V, N).astype(np.int32)

    def forward():
        exp, sums = logits.copy(), np.empty(N)
        with np.errstate(over="ignore", divide="ignore"):
            loss = layers.cross_entropy_forward(
                exp, targets, np.arange(N), np.ones(V), sums, lambda: np.copyto(exp, logits)
            )
        return loss / N, exp, sums

    _, exp, sums = forward()
    layers.cross_entropy_backward(exp, targets, np.arange(N), sums, N)
    step = 1e-3 / max(1, abs(offset))
    check_gradients(lambda: forward()[0], {"logits": logits}, {"logits": exp * sums[:, None]}, step=step)


@pytest.mark.parametrize("overflowing", [False, True])
@pytest.mark.parametrize("dropout", [False, True])
def test_attention(rng, overflowing, dropout):
    batch, n_heads, context, head_size = 2, 3, 4, 2
    n, d = batch * context, n_heads * head_size
    shape = AttentionShape.of(n_heads, head_size, context, np.dtype(np.float64))
    qkv, weight = rng.normal(size=(n, 3 * d)), rng.normal(size=(n, d))
    if overflowing:
        qkv[n - 1, 0:2] = 40.0
        qkv[n - 2 : n, d : d + 2] += 10.0  # two scores of about 800, whose exponentials are infinite
    mask = rng.integers(0, 2, (batch, n_heads, context, context)) * 2.0 if dropout else None

    def forward():
        exp, reciprocal, out = (
            np.empty((batch, n_heads, context, context)),
            np.empty((n, n_heads)),
            np.empty((n, d)),
        )
        with np.errstate(over="ignore", invalid="ignore"):
            is_large = attention_forward(
                qkv, shape, exp, reciprocal, out, np.empty((n, d)), np.empty_like(exp), mask
            )
        assert is_large == overflowing
        return exp, reciprocal, out

    exp, reciprocal, out = forward()
    dqkv = np.empty_like(qkv)
    attention_backward(
        weight.copy(),
        qkv,
        shape,
        exp,
        reciprocal,
        out,
        dqkv,
        np.empty((n, d)),
        np.empty((n, n_heads)),
        np.empty_like(exp),
        mask,
        is_large=overflowing,
    )
    check_gradients(lambda: float((forward()[2] * weight).sum()), {"qkv": qkv}, {"qkv": dqkv}, step=1e-4)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_the_gradient_of_saturated_attention_in_float32_is_that_in_float64(rng, scale):
    batch, n_heads, context, head_size = 2, 2, 8, 4
    n, d = batch * context, n_heads * head_size
    qkv, weight = rng.normal(size=(n, 3 * d)), rng.normal(size=(n, d))
    qkv[:, : 2 * d] *= scale

    def gradient(dtype):
        shape = AttentionShape.of(n_heads, head_size, context, np.dtype(dtype))
        exp, work = (np.empty((batch, n_heads, context, context), dtype) for _ in range(2))
        reciprocal, work_nh = (np.empty((n, n_heads), dtype) for _ in range(2))
        out, work_nd = (np.empty((n, d), dtype) for _ in range(2))
        x, dx = qkv.astype(dtype), np.empty((n, 3 * d), dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            is_large = attention_forward(x, shape, exp, reciprocal, out, work_nd, work, None)
        attention_backward(
            weight.astype(dtype),
            x,
            shape,
            exp,
            reciprocal,
            out,
            dx,
            work_nd,
            work_nh,
            work,
            None,
            is_large=is_large,
        )
        return dx

    assert abs(gradient(np.float32) - gradient(np.float64)).max() < 1e-5


def test_attention_never_looks_ahead(rng):
    shape = AttentionShape.of(1, 4, 5, np.dtype(np.float64))
    qkv = rng.normal(size=(5, 12))

    def out_of(qkv):
        exp, out = np.empty((1, 1, 5, 5)), np.empty((5, 4))
        attention_forward(qkv, shape, exp, np.empty((5, 1)), out, np.empty((5, 4)), np.empty_like(exp), None)
        return out

    before = out_of(qkv)
    qkv[3:] = rng.normal(size=(2, 12))
    after = out_of(qkv)
    np.testing.assert_array_equal(before[:3], after[:3])
    assert abs(before[3:] - after[3:]).min() > 1e-9


def test_dropout_keeps_the_mean_and_drops_the_share_that_it_should():
    mask = np.random.default_rng(0).random(100_000, np.float32)
    layers.dropout_mask(mask, 0.3)
    assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs((mask == 0).mean() - 0.3) < 0.01
