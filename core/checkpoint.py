"""Checkpoints: the whole state of a training in one safetensors file, written so that it is whole or absent.

Tensor names are documented and stable, for other programs to read:

    layers.0.attention.qkv.weight, ...         a parameter; names from parameters.py, weights (in, out)
    optimizer.mean.layers.0.norm1.gain, ...    what the optimizer keeps of it
    recent_losses                              the last training losses, oldest first
    lr_scale                                   the learning rate over the schedule's

The metadata holds `format`, `version`, `step`, `elapsed_s` and `config` (RunConfig as JSON).

Source: the safetensors format, https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from .config import ModelConfig, RunConfig
from .errors import CheckpointError, ConfigError
from .files import os_error_words, replace_atomically
from .parameters import parameter_table

FORMAT = "femtotui-checkpoint"
VERSION = 1

MAX_HEADER_BYTES = 4 * 1024 * 1024
"""Far above the longest parameter table (96 layers), far below what could hurt to parse."""

MAX_LIST_LENGTH = 1000
_LISTS = frozenset({"recent_losses"})
"""Vectors whose length changes as the training goes on, up to MAX_LIST_LENGTH."""

_PARAMETERS = "parameters"

_DTYPE_NAMES = {
    "float32": "F32",
    "float64": "F64",
    "int32": "I32",
    "int64": "I64",
    "uint32": "U32",
    "uint64": "U64",
    "uint8": "U8",
}


class _TensorSlice(Protocol):
    def get_dtype(self) -> str: ...
    def get_shape(self) -> list[int]: ...


class _TensorFile(Protocol):
    """What `safe_open` gives; the library says nothing of its types."""

    def keys(self) -> list[str]: ...
    def metadata(self) -> dict[str, str] | None: ...
    def get_slice(self, name: str) -> _TensorSlice: ...
    def get_tensor(self, name: str) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Checkpoint:
    """A training's state at a step; `elapsed_s` is training time so far."""

    step: int
    elapsed_s: float
    config: RunConfig
    tensors: dict[str, NDArray[Any]]


def save_checkpoint(
    path: Path, tensors: Mapping[str, NDArray[Any]], *, step: int, elapsed_s: float, config: RunConfig
) -> None:
    """Writes `Training.tensors()` to `path` in one move: temporary file, fsync, rename, fsync of the folder.

    Vectors as long as all parameters together are stored tensor by tensor, under the parameters' names.

    Raises: CheckpointError if a number is not finite (a broken state must not replace a good one) or if
    the system refuses.
    """
    stored = _all_parts(tensors, config.model)
    for name, part in stored.items():
        _require_finite(path, name, part)
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "step": str(step),
        "elapsed_s": repr(float(elapsed_s)),
        "config": msgspec.json.encode(config).decode(),
    }
    # Written here rather than by the library: no second copy in memory, and a full disk keeps its name.
    try:
        with replace_atomically(path) as file:
            file.write(_header(stored, metadata))
            for part in stored.values():
                file.write(_little_endian(part).data)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {os_error_words(error)}") from error


def load_checkpoint(path: Path, expected: Mapping[str, NDArray[Any]], model: ModelConfig) -> Checkpoint:
    """Reads a checkpoint that must fit the names, shapes and dtypes of `expected`, a `Training.tensors()`.

    Everything declared in the file is checked before any tensor is read or allocated.

    Raises: CheckpointError, in words, for every kind of damage.
    """
    _check_header_length(path)
    try:
        with safe_open(path, framework="numpy") as opened:
            file: _TensorFile = opened
            step, elapsed_s, config = _read_metadata(path, file.metadata() or {})
            _check_table(path, file, _all_parts(expected, model))
            tensors = {
                whole: _read_whole(file, tuple(_parts(whole, tensor, model)))
                for whole, tensor in expected.items()
            }
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is damaged or is not a checkpoint ({error})") from error
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {os_error_words(error)}") from error
    for name, part in _all_parts(tensors, model).items():
        _require_finite(path, name, part)
    return Checkpoint(step, elapsed_s, config, tensors)


def _all_parts(tensors: Mapping[str, NDArray[Any]], model: ModelConfig) -> dict[str, NDArray[Any]]:
    """What is stored of a training's tensors, by name, as views."""
    return {
        name: part for whole, tensor in tensors.items() for name, part in _parts(whole, tensor, model).items()
    }


def _parts(whole: str, tensor: NDArray[Any], model: ModelConfig) -> dict[str, NDArray[Any]]:
    """What is stored of one of a training's tensors: itself, or a view for every parameter."""
    if tensor.shape != (model.n_parameters,):
        return {whole: tensor}
    prefix = "" if whole == _PARAMETERS else f"{whole}."
    return {
        f"{prefix}{p.name}": tensor[p.offset : p.offset + p.size].reshape(p.shape)
        for p in parameter_table(model)
    }


def _read_whole(file: _TensorFile, names: tuple[str, ...]) -> NDArray[Any]:
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


def _check_header_length(path: Path) -> None:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {os_error_words(error)}") from error
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise CheckpointError(
            f"{path.name} is damaged or is not a checkpoint (its header has {length:,} bytes)"
        )


def _read_metadata(path: Path, metadata: Mapping[str, str]) -> tuple[int, float, RunConfig]:
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path.name} is not a femtotui checkpoint")
    if metadata.get("version") != str(VERSION):
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


def _check_table(path: Path, file: _TensorFile, expected: Mapping[str, NDArray[Any]]) -> None:
    names = set(file.keys())
    for name in expected:
        if name not in names:
            raise CheckpointError(f"{path.name} does not fit this model: it has no {name}")
    for name in sorted(names):
        if name not in expected:
            raise CheckpointError(
                f"{path.name} does not fit this model: it has a foreign tensor {name[:80]!r}"
            )
        declared = file.get_slice(name)
        dtype, shape = declared.get_dtype(), tuple(declared.get_shape())
        wanted = expected[name]
        fits = _is_short_list(shape) if name in _LISTS else shape == wanted.shape
        if dtype != _DTYPE_NAMES[wanted.dtype.name] or not fits:
            raise CheckpointError(
                f"{path.name} does not fit this model: {name} is {dtype} {shape}, "
                f"not {_DTYPE_NAMES[wanted.dtype.name]} {wanted.shape}"
            )


def _is_short_list(shape: tuple[int, ...]) -> bool:
    return len(shape) == 1 and shape[0] <= MAX_LIST_LENGTH


def _require_finite(path: Path, name: str, tensor: NDArray[Any]) -> None:
    if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
        raise CheckpointError(f"{path.name}: {name} holds numbers that are not finite")
