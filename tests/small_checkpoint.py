"""Runs with a checkpoint, of a few parameters, made without training."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from femtotui.core.config import (
    AdamWConfig,
    DataConfig,
    Initialisation,
    ModelConfig,
    Recipe,
    RunConfig,
    ScheduleConfig,
    TokenizerConfig,
    TrainConfig,
)
from femtotui.core.data import Source
from femtotui.core.run import RunFolder
from femtotui.core.tokenizer import build_tokenizer

TEXT = b"bacedi;\nhokuba;\ngifude;\n" * 20


def small_config(kind: str = "byte") -> RunConfig:
    """One layer of width 8 over bytes or characters."""
    return RunConfig(
        preset="small",
        title="a small one",
        model=ModelConfig(n_layers=1, width=8, n_heads=2, context=16),
        tokenizer=TokenizerConfig(kind=kind),  # type: ignore[arg-type]
        data=DataConfig(source="simple_dummy"),
        recipe=Recipe(
            name="small",
            summary="",
            wiring="prenorm",
            init=Initialisation(),
            optimizer=AdamWConfig(),
            schedule=ScheduleConfig(),
        ),
        train=TrainConfig(steps=10),
    )


def saved_run(runs: Path, config: RunConfig | None = None, *, steps: tuple[int, ...] = (7,)) -> RunFolder:
    """A run folder with random parameters saved at each of `steps`."""
    config = config or small_config()
    source = Source(name="words", train=TEXT, validation=TEXT, notes=(), command="", floor=None, fresh=None)
    tokenizer = build_tokenizer(config.tokenizer, TEXT)
    model = msgspec.structs.replace(config.model, vocab_size=tokenizer.vocab_size)
    run = RunFolder.create(runs, msgspec.structs.replace(config, model=model), tokenizer, source)
    for step in steps:
        flat = np.random.default_rng(step).normal(0, 0.5, model.n_parameters).astype(np.float32)
        run.save({"parameters": flat}, step, 1.0)
    return run
