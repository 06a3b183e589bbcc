"""The committed reference values are whole, agree with each other, and can tell right from wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

REFERENCE = Path(__file__).parent / "reference" / "reference.npz"

TWO_LAYERS = {
    "token_embedding.weight": (11, 8),
    "layers.0.attention.qkv.weight": (8, 24),
    "layers.1.attention.qkv.weight": (8, 24),
    "layers.0.attention.projection.weight": (8, 8),
    "layers.1.attention.projection.weight": (8, 8),
    "layers.0.feed_forward.up.weight": (8, 32),
    "layers.1.feed_forward.up.weight": (8, 32),
    "layers.0.feed_forward.down.weight": (32, 8),
    "layers.1.feed_forward.down.weight": (32, 8),
    "layers.0.attention.projection.bias": (8,),
    "layers.1.attention.projection.bias": (8,),
    "layers.0.feed_forward.up.bias": (32,),
    "layers.1.feed_forward.up.bias": (32,),
    "layers.0.feed_forward.down.bias": (8,),
    "layers.1.feed_forward.down.bias": (8,),
    "layers.0.norm1.gain": (8,),
    "layers.1.norm1.gain": (8,),
    "layers.0.norm1.bias": (8,),
    "layers.1.norm1.bias": (8,),
    "layers.0.norm2.gain": (8,),
    "layers.1.norm2.gain": (8,),
    "layers.0.norm2.bias": (8,),
    "layers.1.norm2.bias": (8,),
    "final_norm.gain": (8,),
    "final_norm.bias": (8,),
    "head.weight": (8, 11),
    "head.bias": (11,),
}
ONE_HEAD = {
    "token_embedding.weight": (7, 5),
    "layers.0.attention.qkv.weight": (5, 15),
    "layers.0.attention.projection.weight": (5, 5),
    "layers.0.feed_forward.up.weight": (5, 20),
    "layers.0.feed_forward.down.weight": (20, 5),
    "layers.0.attention.projection.bias": (5,),
    "layers.0.feed_forward.up.bias": (20,),
    "layers.0.feed_forward.down.bias": (5,),
    "layers.0.norm1.gain": (5,),
    "layers.0.norm1.bias": (5,),
    "layers.0.norm2.gain": (5,),
    "layers.0.norm2.bias": (5,),
    "final_norm.gain": (5,),
    "final_norm.bias": (5,),
    "head.weight": (5, 7),
    "head.bias": (7,),
}
TABLES = {"two_layers": TWO_LAYERS, "one_head": ONE_HEAD}
BATCHES = {"two_layers": (3, 3, 7), "one_head": (3, 2, 4)}  # optimizer steps, B, T
WIRINGS = ("journal", "prenorm")
OPTIMIZERS = ("plain", "clipped")
SETS = ("parameters", *(f"{w}/{kind}" for w in WIRINGS for kind in (
    "gradients", "plain/parameters", "clipped/parameters",
)))  # fmt: skip

Reference = dict[str, NDArray[Any]]
every_size = pytest.mark.parametrize("size", TABLES)
every_wiring = pytest.mark.parametrize("wiring", WIRINGS)
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    with np.load(REFERENCE, allow_pickle=False) as file:
        yield dict(file)


def tensors(reference: Reference, folder: str) -> Reference:
    """What lies under `folder/`, without that before the names."""
    start = folder + "/"
    return {key.removeprefix(start): value for key, value in reference.items() if key.startswith(start)}


def test_the_file_is_small() -> None:
    assert REFERENCE.stat().st_size < 500_000


def test_every_number_is_a_finite_float64_a_whole_number_or_a_word(reference: Reference) -> None:
    words = {"made_with", "optimizers/plain/decay", "optimizers/clipped/decay"}
    for key, array in reference.items():
        if key in words:
            assert array.dtype.kind == "U", key
        elif array.dtype.kind == "i":
            assert array.min() >= 0, key
        else:
            assert array.dtype == np.float64, key
            assert np.isfinite(array).all() or key == "optimizers/plain/clip_norm", key


@every_size
@pytest.mark.parametrize("folder", SETS)
def test_names_shapes_and_order_are_the_parameter_table_s(
    reference: Reference, size: str, folder: str
) -> None:
    found = tensors(reference, f"{size}/{folder}")
    assert list(found) == list(TABLES[size])
    assert {name: tensor.shape for name, tensor in found.items()} == TABLES[size]
    assert {tensor.dtype for tensor in found.values()} == {np.dtype(np.float64)}


@every_size
def test_the_configuration_is_the_table_s(reference: Reference, size: str) -> None:
    config = {name: int(value) for name, value in tensors(reference, f"{size}/config").items()}
    assert (
        config
        == {
            "two_layers": {"n_layers": 2, "width": 8, "n_heads": 2, "context": 7, "vocab_size": 11},
            "one_head": {"n_layers": 1, "width": 5, "n_heads": 1, "context": 4, "vocab_size": 7},
        }[size]
    )
    assert reference[f"{size}/positions"].shape == (config["context"], config["width"])


@every_size
def test_batches_repeat_tokens_and_leave_one_unused(reference: Reference, size: str) -> None:
    ids, targets = reference[f"{size}/ids"], reference[f"{size}/targets"]
    n_tokens = TABLES[size]["head.bias"][0]
    assert ids.shape == targets.shape == BATCHES[size]
    assert ids.dtype == targets.dtype == np.int32
    assert ids[..., 1:].tolist() == targets[..., :-1].tolist()
    assert max(ids.max(), targets.max()) < n_tokens - 1
    for batch in ids:
        assert np.bincount(batch.ravel()).max() > 1


@every_size
def test_parameters_leave_no_gradient_trivial(reference: Reference, size: str) -> None:
    for name, tensor in tensors(reference, f"{size}/parameters").items():
        assert np.unique(tensor).size == tensor.size, name
        assert 0 not in tensor, name
        if name.endswith("gain"):
            assert tensor.min() > 0, name
            assert tensor.mean() == pytest.approx(1, abs=0.3), name


@every_size
def test_parameters_are_float32_numbers(reference: Reference, size: str) -> None:
    """So a float32 model can start from exactly the same point."""
    for name, tensor in tensors(reference, f"{size}/parameters").items():
        assert np.array_equal(tensor, tensor.astype(np.float32)), name


@every_size
@every_wiring
def test_gradients_vanish_only_for_tokens_not_in_the_batch(
    reference: Reference, size: str, wiring: str
) -> None:
    gradients = tensors(reference, f"{size}/{wiring}/gradients")
    embedding_VD = gradients.pop("token_embedding.weight")
    used = np.isin(np.arange(len(embedding_VD)), reference[f"{size}/ids"][0])
    assert np.array_equal(embedding_VD.any(axis=1), used)
    for name, gradient in gradients.items():
        assert np.abs(gradient).min() > 1e-9, name
        assert np.abs(gradient).max() > 1e-4, name


@every_size
@every_wiring
def test_the_loss_and_the_head_s_bias_gradient_follow_from_the_logits(
    reference: Reference, size: str, wiring: str
) -> None:
    logits_NV = reference[f"{size}/{wiring}/logits"].reshape(-1, TABLES[size]["head.bias"][0])
    targets_N = reference[f"{size}/targets"][0].ravel()
    p_NV = np.exp(logits_NV) / np.exp(logits_NV).sum(axis=1, keepdims=True)
    loss = -np.log(p_NV[np.arange(targets_N.size), targets_N]).mean()
    bias_gradient_V = (p_NV - np.eye(p_NV.shape[1])[targets_N]).mean(axis=0)
    assert reference[f"{size}/{wiring}/logits"].shape == (*BATCHES[size][1:], p_NV.shape[1])
    assert reference[f"{size}/{wiring}/loss"] == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(reference[f"{size}/{wiring}/gradients/head.bias"], bias_gradient_V, rtol=1e-10)


@every_size
@every_wiring
def test_the_norm_is_the_gradients_norm(reference: Reference, size: str, wiring: str) -> None:
    gradients = tensors(reference, f"{size}/{wiring}/gradients").values()
    norm = np.linalg.norm(np.concatenate([gradient.ravel() for gradient in gradients]))
    assert reference[f"{size}/{wiring}/grad_norm"] == pytest.approx(norm, rel=1e-12)


@every_size
def test_the_wirings_differ(reference: Reference, size: str) -> None:
    journal, prenorm = (reference[f"{size}/{wiring}/logits"] for wiring in WIRINGS)
    assert np.abs(journal - prenorm).max() > 0.1


@every_size
@every_wiring
@every_optimizer
def test_training_starts_at_the_reference_s_loss_and_norm(
    reference: Reference, size: str, wiring: str, optimizer: str
) -> None:
    at = f"{size}/{wiring}"
    losses, norms = reference[f"{at}/{optimizer}/losses"], reference[f"{at}/{optimizer}/grad_norms"]
    assert losses.shape == norms.shape == (3,)
    assert losses[0] == pytest.approx(float(reference[f"{at}/loss"]), rel=1e-12)
    assert norms[0] == pytest.approx(float(reference[f"{at}/grad_norm"]), rel=1e-12)


@every_size
@every_wiring
def test_clipping_bites_at_every_step(reference: Reference, size: str, wiring: str) -> None:
    clip_norm = float(reference["optimizers/clipped/clip_norm"])
    assert reference[f"{size}/{wiring}/clipped/grad_norms"].min() > 4 * clip_norm
    assert np.isnan(reference["optimizers/plain/clip_norm"])


@every_size
@every_wiring
@every_optimizer
def test_a_token_never_seen_only_decays(reference: Reference, size: str, wiring: str, optimizer: str) -> None:
    start_D = reference[f"{size}/parameters/token_embedding.weight"][-1]
    end_D = reference[f"{size}/{wiring}/{optimizer}/parameters/token_embedding.weight"][-1]
    settings = tensors(reference, f"optimizers/{optimizer}")
    left = np.prod(1 - settings["learning_rates"] * settings["weight_decay"])
    np.testing.assert_allclose(end_D, left * start_D, rtol=1e-12)


@every_size
@every_wiring
@every_optimizer
def test_every_tensor_has_moved(reference: Reference, size: str, wiring: str, optimizer: str) -> None:
    ends = tensors(reference, f"{size}/{wiring}/{optimizer}/parameters")
    for name, start in tensors(reference, f"{size}/parameters").items():
        assert np.abs(ends[name] - start).min() > 0, name
        assert np.abs(ends[name] - start).max() > 1e-3, name


def test_the_optimizers_settings(reference: Reference) -> None:
    fields = ["learning_rates", "beta1", "beta2", "eps", "weight_decay", "decay", "clip_norm"]
    for optimizer, decay in (("plain", "all"), ("clipped", "matrices")):
        settings = tensors(reference, f"optimizers/{optimizer}")
        assert list(settings) == fields
        assert settings["learning_rates"].shape == (3,)
        assert str(settings["decay"]) == decay


@pytest.mark.parametrize("schedule", ["journal", "to_the_end", "no_warmup"])
def test_schedules_reach_their_landmarks(reference: Reference, schedule: str) -> None:
    """The base rate where the warm-up ends; then never upwards, and never below the least."""
    noted = tensors(reference, f"schedules/{schedule}")
    steps, rates = noted["steps"], noted["learning_rates"]
    after = rates[steps >= noted["warmup_steps"]]
    assert rates.shape == steps.shape
    assert rates[steps == noted["warmup_steps"]] == [noted["base_lr"]]
    assert (np.diff(after) <= 0).all()
    assert after[-1] == noted["min_lr"]
    assert noted["warmup_steps"] == 0 or rates[0] == 0


def test_the_journal_s_schedule_by_hand(reference: Reference) -> None:
    noted = tensors(reference, "schedules/journal")
    rates = dict(zip(noted["steps"].tolist(), noted["learning_rates"].tolist(), strict=True))
    assert rates[50] == 0.0005
    assert rates[25_100] == pytest.approx(0.000505, rel=1e-15)
    assert rates[50_100] == rates[1_000_000] == 0.00001


def test_positions_are_unit_vectors_that_turn(reference: Reference) -> None:
    """Columns 2i and 2i + 1 are the sine and cosine of one angle, position / 10000^(2i / 6)."""
    table_TD = reference["positions"]
    assert table_TD.shape == (80, 6)
    for i, wavelength in enumerate((1.0, 21.544346900318832, 464.15888336127773)):
        point_T = table_TD[:, 2 * i + 1] + 1j * table_TD[:, 2 * i]
        np.testing.assert_allclose(point_T, np.exp(1j * np.arange(80) / wavelength), atol=1e-13)
