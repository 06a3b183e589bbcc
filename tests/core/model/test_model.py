"""The whole model in both wirings: against central differences, and against independent reference values."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from gradcheck import check_gradients
from torch_reference import Reference, recipe

from femtotui.core.config import ModelConfig
from femtotui.core.model.decoder import Decoder
from femtotui.core.model.gpt import Model
from femtotui.core.model.parameters import Tensors, named_tensors, parameter_table
from femtotui.core.model.positions import sinusoid
from femtotui.core.model.workspace import Pool, Workspace, draw_masks
from femtotui.core.training.optimizers import AdamW, gradient_norm, learning_rate
from femtotui.core.training.workers import (
    ACTIVATION_BYTES,
    CHUNK_TOKENS,
    Workers,
    activation_bytes,
    choose_chunk,
    chunks_of,
)


def share(work, n):
    for i in range(n):
        work(i)


def unfold(model, folded, gradient):
    for piece in range(model.folding.n_pieces):
        model.folding.unfold(piece, folded, gradient)


def model_of(reference: Reference, dtype=np.float64):
    parameters = reference.parameters_P.astype(dtype)
    return Model(reference.config, reference.recipe, parameters), parameters


def loss_and_gradient(model, reference, ids, targets):
    """One workspace, the whole batch."""
    flat = model.parameters.flat_P
    ws = Workspace(reference.config, model.recipe, len(ids), Pool(flat.dtype), training=True)
    folded, gradient = model.empty_gradient(), Tensors.of(np.empty_like(flat), reference.config)
    loss = model.loss_and_gradient(ids.reshape(-1), targets.reshape(-1), ws, folded, ids.size, add=False)
    unfold(model, folded, gradient)
    return loss / ids.size, gradient.flat_P


def test_logits_loss_and_gradients_equal_the_reference(reference):
    model, _ = model_of(reference)
    ids, targets = reference.ids_SBT[0], reference.targets_SBT[0]
    ws = Workspace(reference.config, model.recipe, len(ids), Pool(np.dtype(np.float64)), training=False)
    logits = model.forward(ids.reshape(-1), ws)
    np.testing.assert_allclose(
        logits.reshape(reference["logits"].shape), reference["logits"], rtol=1e-11, atol=1e-12
    )
    loss, gradient = loss_and_gradient(model, reference, ids, targets)
    assert loss == pytest.approx(float(reference["loss"]), rel=1e-13)
    expected = named_tensors(reference.flat_of("gradients"), reference.config)
    for name, tensor in named_tensors(gradient, reference.config).items():
        np.testing.assert_allclose(tensor, expected[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_float32_agrees_to_its_precision(reference):
    model, _ = model_of(reference, np.float32)
    loss, gradient = loss_and_gradient(model, reference, reference.ids_SBT[0], reference.targets_SBT[0])
    assert loss == pytest.approx(float(reference["loss"]), rel=1e-5)
    expected = reference.flat_of("gradients")
    assert abs(gradient - expected).max() < 1e-5 * abs(expected).max()


def test_every_parameter_tensor_against_central_differences(reference):
    model, flat = model_of(reference)
    ids, targets = reference.ids_SBT[0], reference.targets_SBT[0]
    ws = Workspace(reference.config, model.recipe, len(ids), Pool(flat.dtype), training=True)
    _, gradient = loss_and_gradient(model, reference, ids, targets)

    def loss():
        model.refresh()
        return model.loss(ids.reshape(-1), targets.reshape(-1), ws) / ids.size

    parameters = named_tensors(flat, reference.config)
    gradients = named_tensors(gradient, reference.config)
    errors = check_gradients(loss, parameters, gradients)
    assert set(errors) == {p.name for p in parameter_table(reference.config)}


@pytest.mark.parametrize("optimizer", ["plain", "clipped"])
@pytest.mark.parametrize("size", ["two_layers", "one_head"])
@pytest.mark.parametrize("wiring", ["journal", "prenorm"])
def test_three_adamw_steps_equal_the_reference(reference_values, size, wiring, optimizer):
    reference = Reference(reference_values, size, wiring)
    model, flat = model_of(reference)
    settings, rates = reference.optimizer(optimizer)
    adamw = AdamW(parameter_table(reference.config), flat.size, settings, flat.dtype)
    for step, rate in enumerate(rates):
        loss, gradient = loss_and_gradient(
            model, reference, reference.ids_SBT[step], reference.targets_SBT[step]
        )
        norm = gradient_norm(gradient, share)
        assert loss == pytest.approx(reference[f"{optimizer}/losses"][step], rel=1e-11)
        assert norm == pytest.approx(reference[f"{optimizer}/grad_norms"][step], rel=1e-10)
        adamw.step(flat, gradient, norm, float(rate), share)
        model.refresh()
    np.testing.assert_allclose(flat, reference.flat_of(f"{optimizer}/parameters"), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("wiring", ["journal", "prenorm"])
@pytest.mark.parametrize(("threads", "chunk"), [(1, 3), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1)])
def test_any_split_of_the_batch_gives_the_same_gradient(reference_values, wiring, threads, chunk):
    """Three sequences on two threads, in chunks that do not divide them: uneven on purpose."""
    reference = Reference(reference_values, "two_layers", wiring)
    model, _ = model_of(reference)
    workers = Workers(model, 3, threads, chunk)
    try:
        loss = workers.loss_and_gradient(reference.ids_SBT[0], reference.targets_SBT[0], 0, 0)
        norm = gradient_norm(workers.gradient.flat_P, workers.share)
        again = workers.mean_loss(reference.ids_SBT[0], reference.targets_SBT[0])
    finally:
        workers.team.close()
    assert loss == pytest.approx(float(reference["loss"]), rel=1e-13)
    assert again == pytest.approx(loss, rel=1e-13)
    assert norm == pytest.approx(float(reference["grad_norm"]), rel=1e-11)
    np.testing.assert_allclose(workers.gradient.flat_P, reference.flat_of("gradients"), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("batch", "threads", "chunk"), [(32, 2, 16), (32, 2, 5), (7, 3, 2), (1, 1, 1), (5, 5, 5)]
)
def test_chunks_cover_the_batch_once_and_in_order(batch, threads, chunk):
    shares = chunks_of(batch, threads, chunk)
    assert [i for share in shares for c in share for i in range(c.start, c.stop)] == list(range(batch))
    assert all(c.stop - c.start <= chunk for share in shares for c in share)
    assert [[c.add for c in share] for share in shares] == [
        [i > 0 for i in range(len(share))] for share in shares
    ]


@pytest.mark.parametrize(("width", "context"), [(32, 64), (64, 64), (256, 64), (256, 1024), (64, 2048)])
def test_a_chosen_chunk_keeps_to_its_limits_whatever_the_batch(width, context):
    config = ModelConfig(n_layers=4, width=width, n_heads=4, context=context, vocab_size=256)
    for batch in (1, 7, 32, 500):
        for threads in (1, 2, 5):
            chunk = choose_chunk(config, batch, threads)
            assert 1 <= chunk <= -(-batch // threads)
            assert chunk == 1 or chunk * context <= CHUNK_TOKENS
            assert chunk == 1 or chunk * activation_bytes(config) <= ACTIVATION_BYTES


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("wiring", ["journal", "prenorm"])
def test_activations_take_what_was_foretold(wiring, training):
    config = ModelConfig(n_layers=3, width=64, n_heads=4, context=32, vocab_size=256)
    pool = Pool(np.dtype(np.float32))
    Workspace(config, recipe(wiring), 8, pool, training=training)
    taken = sum(block.nbytes for block in pool._blocks)
    foretold = 8 * activation_bytes(config)
    assert taken < 1.35 * foretold
    assert not training or taken > 0.9 * foretold


@pytest.mark.parametrize("wiring", ["journal", "prenorm"])
def test_dropout_equals_the_reference_under_the_same_masks(reference_values, wiring):
    reference = Reference(reference_values, "dropout", wiring)
    config = msgspec.structs.replace(reference.config, dropout=0.3)
    masks = {
        key.removeprefix("dropout/masks/"): mask
        for key, mask in reference_values.items()
        if key.startswith("dropout/masks/")
    }
    flat = reference.parameters_P
    model = Model(config, reference.recipe, flat)
    ids, targets = (x_SBT[0].reshape(-1) for x_SBT in (reference.ids_SBT, reference.targets_SBT))
    ws = Workspace(config, reference.recipe, 3, Pool(flat.dtype), training=True)
    ws.embedding_mask_ND[...] = masks["token_embedding"].reshape(ws.n, -1)
    for i, cache in enumerate(ws.layers):
        cache.masks.attention_BHTT[...] = masks[f"layers.{i}.attention"]
        cache.masks.projection_ND[...] = masks[f"layers.{i}.projection"].reshape(ws.n, -1)
        cache.masks.down_ND[...] = masks[f"layers.{i}.down"].reshape(ws.n, -1)
    folded, gradient = model.empty_gradient(), Tensors.of(np.empty_like(flat), config)
    loss = model.loss_and_gradient(ids, targets, ws, folded, ws.n, add=False)
    unfold(model, folded, gradient)
    assert loss / ws.n == pytest.approx(float(reference["loss"]), rel=1e-13)
    np.testing.assert_allclose(gradient.flat_P, reference.flat_of("gradients"), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("wiring", ["journal", "prenorm"])
def test_dropout_against_central_differences(reference_values, wiring):
    """The masks are drawn once; with them held, forward and backward must agree."""
    reference = Reference(reference_values, "two_layers", wiring)
    config = ModelConfig(n_layers=1, width=4, n_heads=2, context=3, vocab_size=5, dropout=0.4)
    rng = np.random.default_rng(3)
    flat = rng.normal(size=config.n_parameters) / 2
    model = Model(config, reference.recipe, flat)
    ws = Workspace(config, reference.recipe, 2, Pool(flat.dtype), training=True)
    draw_masks(ws, config.dropout, seed=1, step=0, first_sequence=0)
    ids, targets = (rng.integers(0, 5, 6).astype(np.int32) for _ in range(2))
    ids[:5] = range(5)  # a token that never stands anywhere would have no gradient to check
    folded, gradient = model.empty_gradient(), Tensors.of(np.empty_like(flat), config)
    model.loss_and_gradient(ids, targets, ws, folded, 6, add=False)
    unfold(model, folded, gradient)

    def loss():
        model.refresh()
        return model.loss(ids, targets, ws, training=True) / 6

    parameters = named_tensors(flat, config)
    gradients = named_tensors(gradient.flat_P, config)
    dead = {name for name, g in gradients.items() if not g.any()}
    assert not dead
    check_gradients(loss, parameters, gradients)
    assert loss() != model.loss(ids, targets, ws) / 6


def test_dropout_masks_do_not_depend_on_how_a_batch_is_split():
    config = ModelConfig(n_layers=2, width=4, n_heads=2, context=3, vocab_size=5, dropout=0.5)
    whole = Workspace(config, recipe("prenorm"), 4, Pool(np.dtype(np.float32)), training=True)
    part = Workspace(config, recipe("journal"), 1, Pool(np.dtype(np.float32)), training=True)
    draw_masks(whole, 0.5, seed=9, step=5, first_sequence=0)
    draw_masks(part, 0.5, seed=9, step=5, first_sequence=2)
    np.testing.assert_array_equal(
        whole.layers[1].masks.attention_BHTT[2:3], part.layers[1].masks.attention_BHTT
    )
    np.testing.assert_array_equal(whole.layers[0].masks.down_ND[6:9], part.layers[0].masks.down_ND)
    before = part.embedding_mask_ND.copy()
    draw_masks(part, 0.5, seed=9, step=6, first_sequence=2)
    assert (before != part.embedding_mask_ND).any()


@pytest.mark.parametrize("schedule", ["journal", "to_the_end", "no_warmup"])
def test_learning_rates_equal_the_reference(reference_values, schedule):
    from femtotui.core.config import ScheduleConfig  # noqa: PLC0415

    v = {
        k.rsplit("/", 1)[1]: x for k, x in reference_values.items() if k.startswith(f"schedules/{schedule}/")
    }
    config = ScheduleConfig(
        base_lr=float(v["base_lr"]),
        min_lr=float(v["min_lr"]),
        warmup_steps=int(v["warmup_steps"]),
        decay_steps=int(v["decay_steps"]) or None,
    )
    ours = [learning_rate(config, int(step), int(v["run_steps"])) for step in v["steps"]]
    np.testing.assert_allclose(ours, v["learning_rates"], rtol=1e-12)


def test_positions_equal_the_reference(reference_values):
    expected = reference_values["positions"]
    config = ModelConfig(n_layers=1, width=expected.shape[1], n_heads=1, context=expected.shape[0])
    np.testing.assert_allclose(sinusoid(config, 1.0), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(sinusoid(config, 0.05), 0.05 * expected, rtol=1e-12, atol=1e-12)


def test_the_decoder_gives_the_models_logits(reference):
    model, flat = model_of(reference)
    ids = reference.ids_SBT[0]
    ws = Workspace(reference.config, model.recipe, len(ids), Pool(flat.dtype), training=False)
    logits = model.forward(ids.reshape(-1), ws).reshape(*ids.shape, -1)
    for sequence, expected in zip(ids, logits, strict=True):
        decoder = Decoder(reference.config, reference.recipe, flat)
        ours = np.array([decoder.feed(int(i)).copy() for i in sequence])
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-11)
