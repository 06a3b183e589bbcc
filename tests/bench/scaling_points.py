"""One training step timed at sizes that no preset has, on random tokens. Loads NumPy: settle BLAS first."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray
from scaling_chart import Point, Series

from femtotui.cli.step_timer import step_gflop, time_steps
from femtotui.core.config import DataConfig, ModelConfig, RunConfig, TokenizerConfig, TrainConfig
from femtotui.core.training.batches import Source
from femtotui.core.training.training import Training
from femtotui.presets import load_recipe

HEAD_SIZE = 16
TEXT_TOKENS = 50_000
WARM_UP, LEAST_STEPS, MOST_STEPS = 2, 5, 60


class RandomTokens:
    """Stands for a tokenizer of any size: every byte becomes some token."""

    kind = "byte"

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size

    def encode(self, text: bytes) -> NDArray[np.int32]:
        return np.random.default_rng(0).integers(0, self.vocab_size, len(text), np.int32)

    def decode(self, ids: Iterable[int]) -> bytes:
        return b"".join(b"?" for token_id in ids if 0 <= token_id < self.vocab_size)

    def to_json(self) -> str:
        return "{}"


def measure(name: str, sizes: dict[str, int], seconds: float) -> Point:
    """The median step of a model of these sizes."""
    training = _training(sizes)
    try:
        first = time_steps(training, 1, WARM_UP)[0]
        steps = max(LEAST_STEPS, min(MOST_STEPS, round(seconds * 1e3 / first)))
        ms = statistics.median(time_steps(training, steps, 0))
        return Point(sizes[name], ms, step_gflop(training.config.model, training.config.train.batch))
    finally:
        training.close()


def measure_series(name: str, values: Iterable[int], base: dict[str, int], seconds: float) -> Series:
    """A point for each value of one dimension, the others as in `base`; `seconds` of steps a point."""
    return Series(name, tuple(measure(name, {**base, name: value}, seconds) for value in values))


def _training(sizes: dict[str, int]) -> Training:
    text = bytes(TEXT_TOKENS)
    source = Source("random tokens", text, text[:5000], (), "", None, None)
    model = ModelConfig(
        n_layers=sizes["layers"],
        width=sizes["width"],
        n_heads=sizes["width"] // HEAD_SIZE,
        context=sizes["context"],
        vocab_size=sizes["vocab"],
    )
    config = RunConfig(
        preset="scaling",
        title="scaling",
        model=model,
        tokenizer=TokenizerConfig(kind="byte"),
        data=DataConfig(source="simple_dummy"),
        recipe=msgspec.structs.replace(load_recipe("modern"), fresh_data=False),
        train=TrainConfig(steps=1000, batch=sizes["batch"]),
    )
    return Training.begin(config, source, RandomTokens(sizes["vocab"]))
