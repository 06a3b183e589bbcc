"""What a run is made of: frozen, validated settings, read from presets (TOML) and run.json.

Names are the field's; the screen shows the journal's words (`width` is its "embedding degree", `context`
its "num_tokens"). A value that cannot work is refused here, in words, by `ConfigError`.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from .errors import ConfigError

TokenizerKind = Literal["char", "byte", "bpe"]
SourceKind = Literal["simple_dummy", "addition_dummy", "english", "rust", "files"]
Wiring = Literal["journal", "prenorm"]

MAX_VOCAB_SIZE = 65_536
MAX_SEED = 2**32 - 1


class ConfigStruct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every settings group: immutable, by keyword, and no field that nobody reads."""


def _whole(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ConfigError(f"{name} must be a whole number from {least:,} to {most:,}, not {value:,}")


def _real(name: str, value: float, least: float, most: float) -> None:
    if not (math.isfinite(value) and least <= value <= most):
        raise ConfigError(f"{name} must be a number from {least:g} to {most:g}, not {value:g}")


class ModelConfig(ConfigStruct, frozen=True):
    """The size of a GPT.

    `vocab_size` is 0 until the tokenizer has seen the data; a model can only be built after that.
    """

    n_layers: int
    width: int
    n_heads: int
    context: int = 64
    vocab_size: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _whole("layers", self.n_layers, 1, 96)
        _whole("embedding degree", self.width, 2, 4096)
        _whole("heads", self.n_heads, 1, 256)
        _whole("context", self.context, 1, 8192)
        _whole("vocabulary", self.vocab_size, 0, MAX_VOCAB_SIZE)
        if self.width % self.n_heads:
            raise ConfigError(f"embedding degree {self.width} must be a multiple of heads {self.n_heads}")
        if not (math.isfinite(self.dropout) and 0 <= self.dropout < 1):
            raise ConfigError(f"dropout must be at least 0 and below 1, not {self.dropout:g}")

    @property
    def head_size(self) -> int:
        return self.width // self.n_heads

    @property
    def n_parameters(self) -> int:
        """The exact count: embedding, layers, final norm, untied head with its bias."""
        d, v = self.width, self.vocab_size
        return 2 * v * d + v + self.n_layers * (12 * d * d + 10 * d) + 2 * d


class TokenizerConfig(ConfigStruct, frozen=True):
    """How text becomes ids. `vocab_size` is asked of `bpe`, expected of `char`, and always 256 for `byte`."""

    kind: TokenizerKind = "byte"
    vocab_size: int = 0

    def __post_init__(self) -> None:
        _whole("vocabulary", self.vocab_size, 0, MAX_VOCAB_SIZE)
        if self.kind == "bpe" and self.vocab_size < 257:
            raise ConfigError(
                f"a bpe vocabulary starts with the 256 bytes: ask for 257 or more, not {self.vocab_size}"
            )


class DataConfig(ConfigStruct, frozen=True):
    """Where the text comes from; `paths` (files, folders' globs) go with the sources `files` and `rust`."""

    source: SourceKind
    paths: tuple[str, ...] = ()
    lines: int = 8000

    def __post_init__(self) -> None:
        _whole("lines", self.lines, 1, 10_000_000)
        if self.source == "files" and not self.paths:
            raise ConfigError("the data source `files` needs at least one path")


class Initialisation(ConfigStruct, frozen=True):
    """How parameters start. Standard deviations of normal distributions; biases start at 0.

    With `scale_by_width` the matrices' is the one of width 64, and falls with the square root of the width.
    `gain` is the LayerNorm gain: 1 everywhere, or drawn like a matrix (the journal's, and its undoing).
    `scale_residual` divides the two matrices a layer that write to the residual stream by sqrt(2 * layers).
    `position_amplitude` scales the sinusoid that is added to the token embedding.
    """

    matrix_std: float = 0.02
    embedding_std: float = 0.02
    scale_by_width: bool = False
    gain: Literal["ones", "normal"] = "ones"
    scale_residual: bool = True
    position_amplitude: float = 1.0

    def __post_init__(self) -> None:
        _real("matrix_std", self.matrix_std, 0, 10)
        _real("embedding_std", self.embedding_std, 0, 10)
        _real("position_amplitude", self.position_amplitude, 0, 10)


class AdamWConfig(ConfigStruct, frozen=True, tag="adamw"):
    """AdamW (Loshchilov and Hutter, 2019). `weight_decay` falls on every parameter, as femtoGPT's does,
    or on matrices only. `clip_norm` is the largest global gradient norm let through; None lets all through.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.01
    decay: Literal["all", "matrices"] = "matrices"
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        _real("beta1", self.beta1, 0, 0.99999)
        _real("beta2", self.beta2, 0, 0.99999)
        _real("eps", self.eps, 1e-16, 1)
        _real("weight_decay", self.weight_decay, 0, 10)
        if self.clip_norm is not None:
            _real("clip_norm", self.clip_norm, 1e-6, 1e6)


class MuonConfig(ConfigStruct, frozen=True, tag="muon"):
    """Muon (Jordan and others, 2024) for the matrices inside the layers, AdamW for everything else.

    `lr` is the matrices' rate when the schedule is at its base rate; both rise and fall together.
    `iterations` is how often Newton-Schulz is applied; `weight_decay` is the matrices' own. The gradient is
    clipped, for both, as `adamw` says.
    """

    lr: float = 0.02
    momentum: float = 0.95
    iterations: int = 5
    weight_decay: float = 0.0
    adamw: AdamWConfig = AdamWConfig()

    def __post_init__(self) -> None:
        _real("lr", self.lr, 1e-12, 10)
        _real("momentum", self.momentum, 0, 0.99999)
        _whole("iterations", self.iterations, 1, 50)
        _real("weight_decay", self.weight_decay, 0, 10)


OptimizerConfig = AdamWConfig | MuonConfig


class ScheduleConfig(ConfigStruct, frozen=True):
    """Learning rate: from 0 to `base_lr` over `warmup_steps`, then down to `min_lr` along a line.

    The line is `decay_steps` long; None makes it end with the run.
    """

    base_lr: float = 1e-3
    min_lr: float = 1e-5
    warmup_steps: int = 100
    decay_steps: int | None = None

    def __post_init__(self) -> None:
        _real("base_lr", self.base_lr, 1e-12, 10)
        _real("min_lr", self.min_lr, 0, 10)
        _whole("warmup_steps", self.warmup_steps, 0, 1_000_000)
        if self.decay_steps is not None:
            _whole("decay_steps", self.decay_steps, 1, 1_000_000_000)
        if self.min_lr > self.base_lr:
            raise ConfigError(f"min_lr {self.min_lr:g} must not be above base_lr {self.base_lr:g}")


class Recipe(ConfigStruct, frozen=True):
    """Wiring, initialisation, optimizer, schedule and batching: everything but the size and the data.

    `fresh_data` lets a synthetic source write new lines for ever, so that nothing can be learnt by heart.
    """

    name: str
    summary: str
    wiring: Wiring
    init: Initialisation
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    fresh_data: bool = False


class TrainConfig(ConfigStruct, frozen=True):
    """How long, how much at a time, and how it is watched. 0 threads or chunk means: choose for me.

    `threads` share a batch; each works on `chunk` sequences at a time. `eval_every` and `score_every` are in
    steps (0 scores at the end only), `checkpoint_seconds` in seconds of training. The last
    `keep_checkpoints` stay, and with `keep_best` the one of the lowest validation loss, however old.
    """

    steps: int
    batch: int = 32
    seed: int = 0
    threads: int = 0
    chunk: int = 0
    eval_every: int = 100
    eval_windows: int = 64
    checkpoint_seconds: float = 30.0
    keep_checkpoints: int = 3
    keep_best: bool = True
    score_every: int = 500

    def __post_init__(self) -> None:
        _whole("steps", self.steps, 1, 100_000_000)
        _whole("batch", self.batch, 1, 4096)
        _whole("seed", self.seed, 0, MAX_SEED)
        _whole("threads", self.threads, 0, 256)
        _whole("chunk", self.chunk, 0, 4096)
        _whole("eval_every", self.eval_every, 1, 1_000_000)
        _whole("eval_windows", self.eval_windows, 1, 65_536)
        _real("checkpoint_seconds", self.checkpoint_seconds, 0.01, 1e6)
        _whole("keep_checkpoints", self.keep_checkpoints, 1, 1000)
        _whole("score_every", self.score_every, 0, 100_000_000)


class RunConfig(ConfigStruct, frozen=True):
    """All that decides a run's numbers. The same RunConfig gives the same bits (for given threads and chunk).

    `preset` is the preset's key: "1" to "14" for the packaged ones, a slug for one's own.
    """

    preset: str
    title: str
    model: ModelConfig
    tokenizer: TokenizerConfig
    data: DataConfig
    recipe: Recipe
    train: TrainConfig
