"""The weights of a checkpoint alone, under the parameters' names, as safetensors or as NumPy's npz."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from .checkpoint import load_weights
from .config import ModelConfig
from .errors import RunError
from .files import os_error_words, replace_atomically
from .parameters import parameter_table

FORMAT = "femtotui-weights"
VERSION = "1"

WeightsFormat = Literal["safetensors", "npz"]


@dataclass(frozen=True)
class Exported:
    """What was written."""

    n_tensors: int
    n_parameters: int
    step: int


def export_weights(checkpoint: Path, model: ModelConfig, target: Path, kind: WeightsFormat) -> Exported:
    """Writes the parameters of `checkpoint` to `target`, whole or not at all.

    Raises: CheckpointError if they cannot be read, RunError if they cannot be written.
    """
    loaded = load_weights(checkpoint, model)
    flat_P = loaded.tensors["parameters"]
    tensors = {p.name: flat_P[p.offset : p.offset + p.size].reshape(p.shape) for p in parameter_table(model)}
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "step": str(loaded.step),
        "model": msgspec.json.encode(model).decode(),
        "recipe": msgspec.json.encode(loaded.config.recipe).decode(),
    }
    try:
        with replace_atomically(target) as file:
            if kind == "safetensors":
                file.write(save(tensors, metadata))
            else:
                _write_npz(file, tensors, metadata)
    except OSError as error:
        raise RunError(f"cannot write {target}: {os_error_words(error)}") from error
    return Exported(len(tensors), model.n_parameters, loaded.step)


def _write_npz(file: BinaryIO, tensors: dict[str, NDArray[Any]], metadata: dict[str, str]) -> None:
    """Tensors by name, and the metadata as strings `metadata.NAME`; opens with allow_pickle=False."""
    words = {f"metadata.{name}": np.array(text) for name, text in metadata.items()}
    np.savez(file, allow_pickle=False, **tensors, **words)
