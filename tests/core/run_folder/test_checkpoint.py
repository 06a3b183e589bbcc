"""A checkpoint comes back as it was, is whole or absent, and is refused in words when anything is wrong."""

from __future__ import annotations

import errno
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from small_training import small_training

from femtotui.core.errors import CheckpointError
from femtotui.core.machine import peak_rss_mib
from femtotui.core.model.parameters import parameter_table
from femtotui.core.run_folder import checkpoint
from femtotui.core.run_folder.checkpoint import load_checkpoint, load_weights, save_checkpoint
from femtotui.core.training.training import Training


@pytest.fixture
def training() -> Training:
    training = small_training()
    for _ in range(3):
        training.advance()
    return training


@pytest.fixture
def saved(training: Training, tmp_path: Path) -> Path:
    path = tmp_path / "step-3.safetensors"
    save_checkpoint(path, training.tensors(), step=3, elapsed_s=0.25, config=training.config)
    return path


def load(path: Path, training: Training) -> object:
    return load_checkpoint(path, training.tensors(), training.config.model)


def rewrite_header(path: Path, change: Callable[[dict], None]) -> None:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def test_everything_comes_back_bit_for_bit(training: Training, saved: Path) -> None:
    loaded = load_checkpoint(saved, small_training().tensors(), training.config.model)
    assert (loaded.step, loaded.elapsed_s, loaded.config) == (3, 0.25, training.config)
    assert loaded.tensors.keys() == training.tensors().keys()
    for name, tensor in training.tensors().items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert loaded.tensors[name].tobytes() == tensor.tobytes(), name


def test_another_reader_finds_every_parameter_under_its_name(training: Training, saved: Path) -> None:
    stored = load_file(saved)
    for name, shape, offset in parameter_table(training.config.model):
        expected = training.parameters_P[offset : offset + int(np.prod(shape))].reshape(shape)
        np.testing.assert_array_equal(stored[name], expected)
        assert stored[f"optimizer.mean.{name}"].shape == shape


def test_a_checkpoint_of_step_0_comes_back(tmp_path: Path) -> None:
    training = small_training()
    path = tmp_path / "step-0.safetensors"
    save_checkpoint(path, training.tensors(), step=0, elapsed_s=0.0, config=training.config)
    assert load_checkpoint(path, training.tensors(), training.config.model).step == 0


def test_numbers_that_are_not_finite_do_not_replace_good_ones(training: Training, saved: Path) -> None:
    before = saved.read_bytes()
    training.parameters_P[5] = np.nan
    with pytest.raises(CheckpointError, match="not finite"):
        save_checkpoint(saved, training.tensors(), step=4, elapsed_s=0.3, config=training.config)
    assert saved.read_bytes() == before


def test_a_failing_disk_leaves_the_old_file_and_no_other(
    training: Training, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="the disk is full"):
        save_checkpoint(saved, training.tensors(), step=4, elapsed_s=0.3, config=training.config)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_folder_that_has_gone_is_said_so(training: Training, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not there"):
        save_checkpoint(
            tmp_path / "gone" / "x", training.tensors(), step=1, elapsed_s=0, config=training.config
        )


@pytest.mark.parametrize("length", [0, 4, 8, 9, 400, -1])
def test_a_truncated_file_is_damaged(training: Training, saved: Path, length: int) -> None:
    saved.write_bytes(saved.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"damaged|cannot read"):
        load(saved, training)


@pytest.mark.parametrize("length", [1, 5 * 1024 * 1024, 2**40, 2**63, 2**64 - 1])
def test_an_absurd_header_is_refused_unread(training: Training, saved: Path, length: int) -> None:
    data = saved.read_bytes()
    saved.write_bytes(length.to_bytes(8, "little") + data[8:])
    with pytest.raises(CheckpointError, match="damaged"):
        load(saved, training)


def test_a_foreign_file_is_not_a_checkpoint(training: Training, tmp_path: Path) -> None:
    foreign = tmp_path / "step-1.safetensors"
    for content in (b"\x80\x04\x95pickle", b"PK\x03\x04" * 100, b"{}" * 50):
        foreign.write_bytes(content)
        with pytest.raises(CheckpointError, match="not a checkpoint"):
            load(foreign, training)


def test_huge_declared_sizes_allocate_nothing(training: Training, saved: Path) -> None:
    def declare_huge(header: dict) -> None:
        header["head.bias"] |= {"shape": [2**40], "data_offsets": [0, 2**42]}

    rewrite_header(saved, declare_huge)
    before = peak_rss_mib()
    with pytest.raises(CheckpointError, match="damaged"):
        load(saved, training)
    assert peak_rss_mib() - before < 50


def test_other_shapes_and_dtypes_do_not_fit(training: Training, saved: Path) -> None:
    def transposed(header: dict) -> None:
        header["head.weight"]["shape"].reverse()

    rewrite_header(saved, transposed)
    with pytest.raises(CheckpointError, match=r"does not fit this model: head\.weight is F32"):
        load(saved, training)
    rewrite_header(saved, lambda header: (transposed(header), header["head.bias"].update(dtype="I32")))
    with pytest.raises(CheckpointError, match=r"head\.bias is I32"):
        load(saved, training)


def test_missing_and_foreign_tensors_do_not_fit(training: Training, saved: Path) -> None:
    rewrite_header(saved, lambda header: header.update({"x\x1b[2J": header.pop("head.bias")}))
    with pytest.raises(CheckpointError, match=r"it has no head\.bias"):
        load(saved, training)
    rewrite_header(saved, lambda header: header.update({"head.bias": header.pop("x\x1b[2J")}))
    wanted = training.tensors()
    del wanted["lr_scale"]
    with pytest.raises(CheckpointError, match="an unknown tensor 'lr_scale'"):
        load_checkpoint(saved, wanted, training.config.model)


def test_a_list_may_not_be_endless(training: Training, tmp_path: Path) -> None:
    path = tmp_path / "long.safetensors"
    tensors = {**training.tensors(), "recent_losses": np.zeros(100_000)}
    save_checkpoint(path, tensors, step=1, elapsed_s=0, config=training.config)
    with pytest.raises(CheckpointError, match="recent_losses"):
        load(path, training)


@pytest.mark.parametrize(
    "metadata",
    [
        {"format": "other"},
        {"version": "3"},
        {"step": "-1"},
        {"step": "one"},
        {"elapsed_s": "nan"},
        {"config": "{}"},
        {"config": "[" * 10_000},
    ],
)
def test_metadata_that_cannot_be_is_refused(
    training: Training, saved: Path, metadata: dict[str, str]
) -> None:
    rewrite_header(saved, lambda header: header["__metadata__"].update(metadata))
    with pytest.raises(CheckpointError, match=r"damaged|not a femtotui checkpoint|newer femtotui"):
        load(saved, training)


def test_stored_numbers_that_are_not_finite_are_refused(
    training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = tmp_path / "infinite.safetensors"
    training.parameters_P[0] = np.inf
    with monkeypatch.context() as unchecked:
        unchecked.setattr(checkpoint, "_require_finite", lambda *_: None)
        save_checkpoint(saved, training.tensors(), step=3, elapsed_s=1.0, config=training.config)
    with pytest.raises(CheckpointError, match=r"token_embedding\.weight holds numbers that are not finite"):
        load(saved, training)


def test_random_damage_is_an_error_in_words_or_harmless(training: Training, saved: Path) -> None:
    whole, chance = saved.read_bytes(), random.Random(0)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(4096)] = chance.randrange(256)
        saved.write_bytes(data)
        try:
            load(saved, training)
        except CheckpointError as error:
            assert re.search(r"[a-z]{3}", str(error))


def test_a_flipped_bit_anywhere_in_the_numbers_is_noticed(training: Training, saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[-1000] ^= 1
    saved.write_bytes(data)
    with pytest.raises(CheckpointError, match="its checksum does not match its contents"):
        load(saved, training)


def test_a_changed_step_is_noticed(training: Training, saved: Path) -> None:
    rewrite_header(saved, lambda header: header["__metadata__"].update(step="4"))
    with pytest.raises(CheckpointError, match="its checksum does not match its contents"):
        load(saved, training)


def test_the_weights_alone(training: Training, saved: Path) -> None:
    loaded = load_weights(saved, training.config.model)
    assert loaded.tensors.keys() == {"parameters"}
    assert loaded.tensors["parameters"].tobytes() == training.parameters_P.tobytes()
