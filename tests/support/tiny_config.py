"""The settings of a model of one layer and width 8, for tests that need some and care for few of them."""

from __future__ import annotations

from femtotui.core.config import (
    AdamWConfig,
    DataConfig,
    Initialisation,
    ModelConfig,
    Recipe,
    RunConfig,
    ScheduleConfig,
    TokenizerConfig,
    TokenizerKind,
    TrainConfig,
)


def tiny_config(
    train: TrainConfig,
    *,
    context: int = 8,
    tokenizer: TokenizerKind = "byte",
    optimizer: AdamWConfig | None = None,
    schedule: ScheduleConfig | None = None,
    fresh_data: bool = False,
) -> RunConfig:
    """The preset is called `small`; words are its data."""
    recipe = Recipe(
        name="small",
        summary="for tests",
        wiring="prenorm",
        init=Initialisation(),
        optimizer=optimizer or AdamWConfig(),
        schedule=schedule or ScheduleConfig(),
        fresh_data=fresh_data,
    )
    return RunConfig(
        preset="small",
        title="a small one",
        model=ModelConfig(n_layers=1, width=8, n_heads=2, context=context),
        tokenizer=TokenizerConfig(kind=tokenizer),
        data=DataConfig(source="simple_dummy"),
        recipe=recipe,
        train=train,
    )
