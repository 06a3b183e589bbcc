"""From settings to a training that is ready to go, and its run folder: shared by both faces."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from femtotui.core.calibration import remembered_choice
from femtotui.core.config import RunConfig
from femtotui.core.errors import RunError
from femtotui.core.run import RunFolder
from femtotui.core.tokenizer import build_tokenizer
from femtotui.core.train import Training, resolved
from femtotui.presets.sources import open_source

from .blas_kernel import slow_kernel_notes
from .paths import cache_folder

if TYPE_CHECKING:
    from femtotui.core.data import Source
    from femtotui.presets.sources import Download


@dataclass(frozen=True)
class Session:
    """A training and the folder it is recorded in. `notes` are things to say plainly besides the source's."""

    run: RunFolder
    training: Training
    notes: tuple[str, ...] = ()


def prepare(config: RunConfig, runs: Path, download: Download | None = None) -> Session:
    """A new run. Nothing is written before the data, the tokenizer and the model are known to work.

    Raises: FemtoError.
    """
    source = open_source(config.data, config.train.seed, download=download)
    tokenizer = build_tokenizer(config.tokenizer, _text_to_learn_from(config, source))
    config = _with_threads(resolved(config, tokenizer), asked=config)
    training = Training.begin(config, source, tokenizer)
    try:
        run = RunFolder.create(runs, training.config, tokenizer, source)
    except BaseException:
        training.close()
        raise
    return Session(run, training, slow_kernel_notes(os.environ))


def _with_threads(config: RunConfig, asked: RunConfig) -> RunConfig:
    """`config` with the threads and chunk that are fastest here, unless either was asked for."""
    train = config.train
    if asked.train.threads or asked.train.chunk:
        return config
    choice = remembered_choice(cache_folder() / "threads.json", config.model, config.recipe, train.batch)
    train = msgspec.structs.replace(train, threads=choice.threads, chunk=choice.chunk)
    return msgspec.structs.replace(config, train=train)


def _text_to_learn_from(config: RunConfig, source: Source) -> bytes:
    """What the tokenizer sees. A character that only the validation text has needs an id all the same."""
    return source.train + source.validation if config.tokenizer.kind == "char" else source.train


def continue_run(path: Path, download: Download | None = None) -> Session:
    """A run as it was at its newest whole checkpoint; what was written after that is cut off.

    Raises: FemtoError; RunError if its data is no longer the same.
    """
    run = RunFolder.open(path)
    if not run.checkpoint_paths():
        raise RunError(f"{path} has no checkpoint to go on from: start a new run")
    config = run.config
    source = open_source(config.data, config.train.seed, download=download)
    _require_same_data(run, source)
    training = Training.begin(config, source, run.tokenizer())
    try:
        checkpoint, notes = run.load_newest(training.tensors())
        training.restore(checkpoint.tensors, checkpoint.step, checkpoint.elapsed_s)
        run.cut_after(checkpoint.step)
    except BaseException:
        training.close()
        raise
    return Session(run, training, (*notes, *slow_kernel_notes(os.environ)))


def _require_same_data(run: RunFolder, source: Source) -> None:
    data = run.info.data
    if source.sha256 == data.sha256:
        return
    was = f"{data.name}, {data.n_bytes:,} bytes"
    now = f"{source.name}, {len(source.train) + len(source.validation):,} bytes"
    raise RunError(
        f"{run.path.name} cannot go on: its data has changed since ({was} then, {now} now). "
        "Put the old text back, or start a new run"
    )
