"""Runs with a checkpoint, of a few parameters, made without training."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from tiny_config import tiny_config

from femtotui.core.config import RunConfig, TokenizerKind, TrainConfig
from femtotui.core.run_folder.folder import RunFolder
from femtotui.core.tokenizers import build_tokenizer
from femtotui.core.training.batches import Source

TEXT = b"bacedi;\nhokuba;\ngifude;\n" * 20


def small_config(kind: TokenizerKind = "byte") -> RunConfig:
    """Over bytes or characters, with a context of 16."""
    return tiny_config(TrainConfig(steps=10), context=16, tokenizer=kind)


def saved_run(runs: Path, config: RunConfig | None = None, *, steps: tuple[int, ...] = (7,)) -> RunFolder:
    """A run folder with random parameters saved at each of `steps`."""
    config = config or small_config()
    source = Source(name="words", train=TEXT, validation=TEXT, notes=(), command="", floor=None, fresh=None)
    tokenizer = build_tokenizer(config.tokenizer, TEXT)
    model = msgspec.structs.replace(config.model, vocab_size=tokenizer.vocab_size)
    run = RunFolder.create(runs, msgspec.structs.replace(config, model=model), tokenizer, source, 1.0)
    for step in steps:
        flat = np.random.default_rng(step).normal(0, 0.5, model.n_parameters).astype(np.float32)
        run.save({"parameters": flat}, step, 1.0)
    return run
