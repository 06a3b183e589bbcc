"""A model as it was saved, for sampling: out of a run folder, or one checkpoint file."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from ..config import ModelConfig, RunConfig, TokenizerConfig
from ..errors import CheckpointError, FemtoError, RunError, TokenizerError
from ..files import os_error_words, replace_atomically
from ..model.parameters import parameter_table
from ..sampling.sampler import Sampler
from ..tokenizers.tokenizer import Tokenizer, build_tokenizer
from .catalog import find_run
from .checkpoint import Checkpoint, load_weights, read_config
from .folder import RunFolder

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class SavedModel:
    """Parameters with their tokenizer. `notes` are things to say plainly, such as a newer, damaged file."""

    path: Path
    step: int
    config: RunConfig
    sampler: Sampler
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is, in a few words."""
        return f"#{self.config.preset} {self.config.title}, step {self.step:,}"


def open_saved(runs: Path, name: str) -> SavedModel:
    """The checkpoint file `name`, or the newest whole checkpoint of the run that `find_run` finds.

    A run that is being written at this moment is read as of its last checkpoint.

    Raises: CheckpointError, RunError, TokenizerError.
    """
    if name.endswith(SUFFIX):
        path = _checkpoint_path(runs, name)
        loaded = load_weights(path, read_config(path).model)
        return _saved(path, loaded, _tokenizer_near(path, loaded.config.tokenizer))
    run = RunFolder.open(find_run(runs, name))
    return newest_saved(run)


def _checkpoint_path(runs: Path, name: str) -> Path:
    """A file as it is named, or else one below the runs folder."""
    path = Path(name)
    with suppress(OSError, ValueError, RuntimeError):  # too long, a zero byte, `~nobody`: the reader will say
        path = path.expanduser()
        if not path.is_file() and (runs / name).is_file():
            return runs / name
    return path


def newest_saved(run: RunFolder) -> SavedModel:
    """The newest whole checkpoint of a run, with notes about those that are damaged.

    Raises: CheckpointError, RunError, TokenizerError.
    """
    problems: list[FemtoError] = []
    for path in run.checkpoint_paths():
        try:
            loaded = load_weights(path, read_config(path).model)
        except CheckpointError as error:
            if path.exists():  # else the trainer has just put a newer one in its place
                problems.append(error)
            continue
        notes = tuple(f"{problem}; step {loaded.step:,} is taken instead" for problem in problems)
        return _saved(path, loaded, run.tokenizer(), notes)
    if problems:
        raise problems[0]
    raise CheckpointError(f"{run.path} has no checkpoint yet: wait for its first one, or press c in the app")


def _saved(path: Path, loaded: Checkpoint, tokenizer: Tokenizer, notes: tuple[str, ...] = ()) -> SavedModel:
    model = loaded.config.model
    if tokenizer.vocab_size != model.vocab_size:
        raise TokenizerError(
            f"the tokenizer beside {path.name} has {tokenizer.vocab_size:,} tokens, and the model "
            f"{model.vocab_size:,}: they are of different runs"
        )
    sampler = Sampler(model, loaded.config.recipe, loaded.tensors["parameters"], tokenizer)
    return SavedModel(path, loaded.step, loaded.config, sampler, notes)


def _tokenizer_near(path: Path, config: TokenizerConfig) -> Tokenizer:
    """The tokenizer of the run folder that a checkpoint lies in; one that lies elsewhere may be of bytes."""
    run = path.absolute().parent.parent
    if (run / "run.json").is_file():
        return RunFolder.open(run).tokenizer()
    if config.kind == "byte":
        return build_tokenizer(config, b"")
    raise TokenizerError(
        f"{path.name} needs its {config.kind} tokenizer: leave it in its run folder, or give the run instead"
    )


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
