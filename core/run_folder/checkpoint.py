"""Checkpoints: the complete state of a training in one safetensors file, written atomically.

Tensor names are documented and stable, for other programs to read:

    layers.0.attention.qkv.weight, ...         a parameter; names from parameters.py, weights (in, out)
    optimizer.mean.layers.0.norm1.gain, ...    the optimizer's state for it
    recent_losses                              the last training losses, oldest first
    lr_scale                                   the learning rate relative to the schedule's

The metadata holds `format`, `version`, `step`, `elapsed_s`, `config` (RunConfig as JSON) and `crc32`, a
checksum of the other metadata and the tensors that detects a flipped bit.

Source: the safetensors format, https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from ..config import ModelConfig, RunConfig
from ..errors import CheckpointError, ConfigError
from ..files import replace_atomically, reraise_os_errors
from ..model.parameters import named_tensors

FORMAT = "femtotui-checkpoint"
VERSION = "2"

MAX_HEADER_BYTES = 4 * 1024 * 1024
"""Far above the longest parameter table (96 layers), and still quick to parse."""

MAX_LIST_LENGTH = 1000
_LISTS = frozenset({"recent_losses"})
"""Vectors whose length changes during training, up to MAX_LIST_LENGTH."""

_PARAMETERS = "parameters"
_CHECKSUM = "crc32"
_LENGTH_BYTES = 8
_BLOCK_BYTES = 1 << 20

_DTYPE_NAMES = {"float32": "F32", "float64": "F64"}


@dataclass(frozen=True)
class Checkpoint:
    """A training's state at a step; `elapsed_s` is the training time so far."""

    step: int
    elapsed_s: float
    config: RunConfig
    tensors: dict[str, NDArray[Any]]


def save_checkpoint(
    path: Path, tensors: Mapping[str, NDArray[Any]], *, step: int, elapsed_s: float, config: RunConfig
) -> None:
    """Write `Training.tensors()` to `path` atomically: temporary file, fsync, rename, fsync of the folder.

    Vectors as long as all parameters together are stored tensor by tensor, under the parameters' names.

    Raises: CheckpointError if a number is not finite (a broken state must not replace a good one) or if the
    file cannot be written.
    """
    stored = _all_parts(tensors, config.model)
    for name, part in stored.items():
        _require_finite(path, name, part)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "step": str(step),
        "elapsed_s": repr(float(elapsed_s)),
        "config": msgspec.json.encode(config).decode(),
    }
    metadata[_CHECKSUM] = _checksum(metadata, (_little_endian(part).data for part in stored.values()))
    # The library would copy everything in memory and hide the system's error on a full disk.
    with reraise_os_errors(CheckpointError, f"write {path}"), replace_atomically(path) as file:
        file.write(_header(stored, metadata))
        for part in stored.values():
            file.write(_little_endian(part).data)


def load_checkpoint(path: Path, expected: Mapping[str, NDArray[Any]], model: ModelConfig) -> Checkpoint:
    """Read a checkpoint that must fit the names, shapes and dtypes of `expected`, a `Training.tensors()`.

    Everything declared in the file is checked before any tensor is read or allocated.

    Raises: CheckpointError for every kind of damage.
    """
    return _load(path, expected, model, whole=True)


def load_weights(path: Path, model: ModelConfig) -> Checkpoint:
    """Read only the parameters of a checkpoint: `tensors` holds the flat vector `parameters`.

    Raises: CheckpointError for every kind of damage.
    """
    # Only the shape and dtype are used, so no memory is needed.
    expected = {_PARAMETERS: np.broadcast_to(np.float32(0), (model.n_parameters,))}
    return _load(path, expected, model, whole=False)


def read_config(path: Path) -> RunConfig:
    """The configuration that a checkpoint was made with, from its metadata. Raises: CheckpointError."""
    with _opened(path) as file:
        return _read_metadata(path, file.metadata() or {})[2]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file as safetensors' `safe_open`, which has no type annotations."""
    with reraise_os_errors(CheckpointError, f"read {path}"), path.open("rb") as start:
        length = int.from_bytes(start.read(_LENGTH_BYTES), "little")
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise CheckpointError(
            f"{path.name} is damaged or is not a checkpoint (its header has {length:,} bytes)"
        )
    try:
        with reraise_os_errors(CheckpointError, f"read {path}"), safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is damaged or is not a checkpoint ({error})") from error


def _load(path: Path, expected: Mapping[str, NDArray[Any]], model: ModelConfig, *, whole: bool) -> Checkpoint:
    """Read the `expected` tensors; `whole` refuses any others."""
    with _opened(path) as file:
        metadata = file.metadata() or {}
        step, elapsed_s, config = _read_metadata(path, metadata)
        _check_table(path, file, _all_parts(expected, model), whole=whole)
        _check_sum(path, metadata)
        tensors = {
            name: _read_whole(file, tuple(_parts(name, tensor, model))) for name, tensor in expected.items()
        }
    for name, part in _all_parts(tensors, model).items():
        _require_finite(path, name, part)
    return Checkpoint(step, elapsed_s, config, tensors)


def _checksum(metadata: Mapping[str, str], blocks: Iterable[bytes | memoryview]) -> str:
    fields = sorted((name, text) for name, text in metadata.items() if name != _CHECKSUM)
    crc = zlib.crc32(json.dumps(fields).encode())
    for block in blocks:
        crc = zlib.crc32(block, crc)
    return f"{crc:08x}"


def _check_sum(path: Path, metadata: Mapping[str, str]) -> None:
    with path.open("rb") as file:
        file.seek(_LENGTH_BYTES + int.from_bytes(file.read(_LENGTH_BYTES), "little"))
        found = _checksum(metadata, iter(lambda: file.read(_BLOCK_BYTES), b""))
    if metadata.get(_CHECKSUM) != found:
        raise CheckpointError(f"{path.name} is damaged: its checksum does not match its contents")


def _all_parts(tensors: Mapping[str, NDArray[Any]], model: ModelConfig) -> dict[str, NDArray[Any]]:
    """The stored tensors of a training by name, as views."""
    return {
        name: part for whole, tensor in tensors.items() for name, part in _parts(whole, tensor, model).items()
    }


def _parts(whole: str, tensor: NDArray[Any], model: ModelConfig) -> dict[str, NDArray[Any]]:
    """The stored form of one of a training's tensors: itself, or a view for every parameter."""
    if tensor.shape != (model.n_parameters,):
        return {whole: tensor}
    prefix = "" if whole == _PARAMETERS else f"{whole}."
    return {prefix + name: part for name, part in named_tensors(tensor, model).items()}


def _read_whole(file: Any, names: tuple[str, ...]) -> NDArray[Any]:
    if len(names) == 1:
        return np.asarray(file.get_tensor(names[0]))
    return np.concatenate([np.ravel(file.get_tensor(name)) for name in names])


def _header(tensors: Mapping[str, NDArray[Any]], metadata: dict[str, str]) -> bytes:
    table: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        dtype = _DTYPE_NAMES[tensor.dtype.name]
        table[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors start on a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text


def _little_endian(tensor: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(tensor, dtype=tensor.dtype.newbyteorder("<"))


def _read_metadata(path: Path, metadata: Mapping[str, str]) -> tuple[int, float, RunConfig]:
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path.name} is not a femtotui checkpoint")
    if metadata.get("version") != VERSION:
        raise CheckpointError(
            f"{path.name} has format version {metadata.get('version', '?')[:20]}, and this femtotui reads "
            f"{VERSION}: a newer femtotui can read it"
        )
    with suppress(KeyError, ValueError, ConfigError, msgspec.DecodeError):
        step, elapsed_s = int(metadata["step"]), float(metadata["elapsed_s"])
        config = msgspec.json.decode(metadata["config"], type=RunConfig)
        if step >= 0 and math.isfinite(elapsed_s) and elapsed_s >= 0:
            return step, elapsed_s, config
    raise CheckpointError(f"{path.name} is damaged: its step, time or configuration cannot be read")


def _check_table(path: Path, file: Any, expected: Mapping[str, NDArray[Any]], *, whole: bool) -> None:
    names = set(file.keys())
    for name in expected:
        if name not in names:
            raise CheckpointError(f"{path.name} does not fit this model: it has no {name}")
    for name in sorted(names):
        if name not in expected:
            if not whole:
                continue
            raise CheckpointError(
                f"{path.name} does not fit this model: it has an unknown tensor {name[:80]!r}"
            )
        declared = file.get_slice(name)
        dtype, shape = declared.get_dtype(), tuple(declared.get_shape())
        wanted = expected[name]
        is_short_list = name in _LISTS and len(shape) == 1 and shape[0] <= MAX_LIST_LENGTH
        fits = is_short_list or (name not in _LISTS and shape == wanted.shape)
        if dtype != _DTYPE_NAMES[wanted.dtype.name] or not fits:
            raise CheckpointError(
                f"{path.name} does not fit this model: {name} is {dtype} {shape}, "
                f"not {_DTYPE_NAMES[wanted.dtype.name]} {wanted.shape}"
            )


def _require_finite(path: Path, name: str, tensor: NDArray[Any]) -> None:
    if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
        raise CheckpointError(f"{path.name}: {name} holds numbers that are not finite")
