"""A preset and what was asked for beside it, into the settings of one run."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from femtotui.core.config import DataConfig, MuonConfig, Recipe, RunConfig, TrainConfig
from femtotui.core.errors import ConfigError

from .load import load_recipe
from .problems import visible
from .schema import Preset


def run_config(
    preset: Preset,
    *,
    recipe: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    data: Sequence[str] = (),
    threads: int = 0,
    chunk: int = 0,
) -> RunConfig:
    """The settings of a run of `preset`; what is None, 0 or empty is the preset's, or chosen later.

    `data` are paths or globs of one's own text. With them a char or bpe vocabulary is no longer known
    (`model.vocab_size` 0): it will be that text's.

    Raises: ConfigError for a value that cannot be, PresetError for an unknown recipe.
    """
    train = TrainConfig(
        steps=preset.steps if steps is None else steps,
        batch=preset.batch,
        seed=seed,
        threads=threads,
        chunk=chunk,
        eval_every=preset.eval_every,
        eval_windows=preset.eval_windows,
    )
    config = RunConfig(
        preset=preset.key,
        title=preset.title,
        model=preset.model,
        tokenizer=preset.tokenizer,
        data=preset.data,
        recipe=_at_rates(load_recipe(preset.recipe if recipe is None else recipe), preset),
        train=train,
    )
    return _with_data(config, tuple(data)) if data else config


def _at_rates(recipe: Recipe, preset: Preset) -> Recipe:
    """The recipe at the preset's own rates: AdamW's, falling to the same share of it, and Muon's."""
    if preset.muon_lr is not None and isinstance(recipe.optimizer, MuonConfig):
        optimizer = msgspec.structs.replace(recipe.optimizer, lr=preset.muon_lr)
        recipe = msgspec.structs.replace(recipe, optimizer=optimizer)
    learning_rate = preset.learning_rate
    if learning_rate is None:
        return recipe
    old = recipe.schedule
    schedule = msgspec.structs.replace(
        old, base_lr=learning_rate, min_lr=old.min_lr * learning_rate / old.base_lr
    )
    return msgspec.structs.replace(recipe, schedule=schedule)


def _with_data(config: RunConfig, paths: tuple[str, ...]) -> RunConfig:
    for path in paths:
        if not path.strip() or "\0" in path:
            raise ConfigError(f"a data path must name a file, not {visible(repr(path))}")
    model, tokenizer = config.model, config.tokenizer
    if tokenizer.kind != "byte":
        model = msgspec.structs.replace(model, vocab_size=0)
    if tokenizer.kind == "char":
        tokenizer = msgspec.structs.replace(tokenizer, vocab_size=0)
    source = "rust" if config.data.source == "rust" else "files"
    replaced: DataConfig = msgspec.structs.replace(config.data, source=source, paths=paths)
    return msgspec.structs.replace(config, model=model, tokenizer=tokenizer, data=replaced)
