"""Saved models: opening one for sampling, from a run folder or a checkpoint file, and exporting weights."""

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
from ..errors import CheckpointError, FemtoError, NoCheckpointError, RunError, TokenizerError
from ..files import replace_atomically, reraise_os_errors
from ..model.parameters import named_tensors
from ..sampling.sampler import Sampler
from ..tokenizers import Tokenizer, build_tokenizer
from .catalog import find_run
from .checkpoint import Checkpoint, load_weights, read_config
from .folder import RunFolder
from .info import CHECKPOINT_SUFFIX, is_run


@dataclass(frozen=True)
class SavedModel:
    """Parameters with their tokenizer. `notes` must be shown to the user, such as a newer, damaged file."""

    path: Path
    step: int
    config: RunConfig
    sampler: Sampler
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Preset, title and step."""
        return f"#{self.config.preset} {self.config.title}, step {self.step:,}"


def open_saved(runs: Path, name: str, which: str = "latest") -> SavedModel:
    """The checkpoint file `name`, or a checkpoint of the run that `find_run` finds.

    `which` is the newest undamaged one (`latest`), `best`, or a step.

    Raises: CheckpointError, RunError, TokenizerError.
    """
    if name.endswith(CHECKPOINT_SUFFIX):
        if which != "latest":
            raise CheckpointError(f"{name} is one checkpoint: give its run to choose `{which}`")
        path = _checkpoint_path(runs, name)
        loaded = load_weights(path, read_config(path).model)
        return _saved(path, loaded, _tokenizer_near(path, loaded.config.tokenizer))
    run = RunFolder.open(find_run(runs, name))
    return newest_saved(run) if which == "latest" else open_saved(runs, str(run.find_checkpoint(which)))


def _checkpoint_path(runs: Path, name: str) -> Path:
    """`name` as a path, or else relative to the runs folder."""
    path = Path(name)
    with suppress(OSError, ValueError, RuntimeError):  # too long, a zero byte, `~nobody`: reading reports it
        path = path.expanduser()
        if not path.is_file() and (runs / name).is_file():
            return runs / name
    return path


def newest_saved(run: RunFolder) -> SavedModel:
    """The newest undamaged checkpoint of a run, with notes about damaged ones.

    Raises: CheckpointError, RunError, TokenizerError.
    """
    path, loaded, notes = _newest(run)
    return _saved(path, loaded, run.tokenizer(), notes)


def newest_weights(run: RunFolder) -> Checkpoint:
    """The newest undamaged checkpoint of a run, without the optimizer's state. Raises: as `newest_saved`."""
    return _newest(run)[1]


def _newest(run: RunFolder) -> tuple[Path, Checkpoint, tuple[str, ...]]:
    problems: list[FemtoError] = []
    for path in run.checkpoint_paths():
        try:
            loaded = load_weights(path, read_config(path).model)
        except CheckpointError as error:
            if path.exists():  # else the trainer has just replaced it by a newer one
                problems.append(error)
            continue
        return path, loaded, tuple(f"{problem}; step {loaded.step:,} is used instead" for problem in problems)
    if problems:
        raise problems[0]
    raise NoCheckpointError(f"{run.path} has no checkpoint yet: wait for its first one")


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
    """The tokenizer of the run folder around a checkpoint; outside one, only a byte tokenizer is known."""
    run = path.absolute().parent.parent
    if is_run(run):
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
    """Counts and step of exported weights."""

    n_tensors: int
    n_parameters: int
    step: int


def export_weights(checkpoint: Path, model: ModelConfig, target: Path, kind: WeightsFormat) -> Exported:
    """Write the parameters of `checkpoint` to `target`, atomically.

    Raises: CheckpointError if they cannot be read, RunError if they cannot be written.
    """
    loaded = load_weights(checkpoint, model)
    flat_P = loaded.tensors["parameters"]
    tensors = named_tensors(flat_P, model)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "step": str(loaded.step),
        "model": msgspec.json.encode(model).decode(),
        "recipe": msgspec.json.encode(loaded.config.recipe).decode(),
    }
    with reraise_os_errors(RunError, f"write {target}"), replace_atomically(target) as file:
        if kind == "safetensors":
            file.write(save(tensors, metadata))
        else:
            _write_npz(file, tensors, metadata)
    return Exported(len(tensors), model.n_parameters, loaded.step)


def _write_npz(file: BinaryIO, tensors: dict[str, NDArray[Any]], metadata: dict[str, str]) -> None:
    """Tensors by name, and the metadata as strings `metadata.NAME`; loads with allow_pickle=False."""
    words = {f"metadata.{name}": np.array(text) for name, text in metadata.items()}
    np.savez(file, allow_pickle=False, **tensors, **words)
