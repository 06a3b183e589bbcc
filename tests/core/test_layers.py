"""Every layer's backward against central differences, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from femtotui.core import layers
from femtotui.core.attention import AttentionShape, attention_backward, attention_forward
from gradcheck import check_gradients

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


def test_linear_without_bias_or_input_gradient_adds_to_what_is_there(rng):
    x, w, dy = (rng.normal(size=s) for s in ((N, D), (D, F), (N, F)))
    dw = np.ones_like(w)
    layers.linear_backward(dy, x, w, np.ones(N), None, dw, None, np.empty(w.size))
    np.testing.assert_allclose(dw, 1 + x.T @ dy, rtol=1e-12)


def test_layer_norm(rng):
    x, gain, bias, weight = (rng.normal(size=s) for s in ((N, D), (D,), (D,), (N, D)))
    mean_d = np.full(D, 1 / D)

    def forward():
        xhat, rstd, y = np.empty_like(x), np.empty(N), np.empty_like(x)
        layers.layer_norm_forward(x, gain, bias, mean_d, xhat, rstd, y)
        return xhat, rstd, y

    xhat, rstd, _ = forward()
    dx, dgain, dbias = weight.copy(), np.empty(D), np.empty(D)
    layers.layer_norm_backward(
        dx, xhat, rstd, gain, mean_d, np.ones(N), dx, dgain, dbias, np.empty(N), np.empty((N, D)), None
    )
    check_gradients(
        lambda: float((forward()[2] * weight).sum()),
        {"x": x, "gain": gain, "bias": bias},
        {"x": dx, "gain": dgain, "bias": dbias},
    )


def test_gelu(rng):
    u, weight = rng.normal(size=(N, F)) * 2, rng.normal(size=(N, F))

    def forward():
        h, dgelu = u.copy(), np.empty_like(u)
        layers.gelu_forward(h, dgelu, np.empty((2, layers.GELU_BLOCK)))
        return h, dgelu

    du = weight.copy()
    layers.gelu_backward(du, forward()[1])
    check_gradients(lambda: float((forward()[0] * weight).sum()), {"u": u}, {"u": du})
    for row, h in zip(u, forward()[0], strict=True):
        np.testing.assert_allclose(layers.gelu_of_vector(row), h, rtol=1e-12)


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
            attention_forward(qkv, shape, exp, reciprocal, out, np.empty((n, d)), np.empty_like(exp), mask)
        return exp, reciprocal, out

    exp, reciprocal, out = forward()
    assert (exp.max() <= 1) == overflowing  # only the careful way takes the maximum out
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
    )
    check_gradients(lambda: float((forward()[2] * weight).sum()), {"qkv": qkv}, {"qkv": dqkv}, step=1e-4)


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
