"""The settings of a run: frozen, validated structs, read from presets (TOML) and run.json.

Names are the field's; the screen shows the journal's words (`width` is its "embedding degree", `context`
its "num_tokens"). Bounds are annotations: msgspec checks them when it decodes, and `ConfigStruct` when a
struct is built in Python.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.inspect import FloatType, IntType, StructType, Type, UnionType, type_info

from .errors import ConfigError

TokenizerKind = Literal["char", "byte", "bpe"]
SourceKind = Literal["simple_dummy", "addition_dummy", "english", "rust", "files"]
Wiring = Literal["journal", "prenorm"]

MAX_VOCAB_SIZE = 65_536
MAX_SEED = 2**32 - 1

VocabSize = Annotated[int, Meta(ge=0, le=MAX_VOCAB_SIZE)]
Steps = Annotated[int, Meta(ge=1, le=100_000_000)]
BatchSize = Annotated[int, Meta(ge=1, le=4096)]
EvalEvery = Annotated[int, Meta(ge=1, le=1_000_000)]
EvalWindows = Annotated[int, Meta(ge=1, le=65_536)]
Rate = Annotated[float, Meta(gt=0, le=10)]
_UpTo10 = Annotated[float, Meta(ge=0, le=10)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Decay = Annotated[float, Meta(ge=0, le=0.99999)]


class ConfigStruct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every settings group: immutable, keyword-only, no unknown fields, numbers within their bounds.

    Raises: ConfigError, naming the field.
    """

    def __post_init__(self) -> None:
        for name, kind in _bounded_fields(type(self)):
            value = getattr(self, name)
            if value is not None and not _is_within(kind, value):
                shown = f"{value:,}" if isinstance(value, int) else f"{value:g}"
                raise ConfigError(f"must be {number_words(kind)}, not {shown}", name)


@cache
def _bounded_fields(group: type[ConfigStruct]) -> tuple[tuple[str, IntType | FloatType], ...]:
    info = type_info(group)
    assert isinstance(info, StructType)
    kinds = ((field.name, without_none(field.type)) for field in info.fields)
    return tuple(
        (name, kind)
        for name, kind in kinds
        if isinstance(kind, IntType | FloatType) and (kind.ge, kind.gt, kind.le, kind.lt) != (None,) * 4
    )


def without_none(kind: Type | None) -> Type | None:
    """`X` for the type `X | None`."""
    if not isinstance(kind, UnionType):
        return kind
    return next((t for t in kind.types if not isinstance(t, msgspec.inspect.NoneType)), None)


def _is_within(kind: IntType | FloatType, value: Any) -> bool:
    return (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )


def number_words(kind: IntType | FloatType) -> str:
    """The numbers that a type allows: `a whole number from 1 to 96`."""
    name = "a whole number" if isinstance(kind, IntType) else "a number"
    shown = {
        bound: f"{limit:,}" if isinstance(kind, IntType) else f"{limit:g}"
        for bound in ("ge", "gt", "le", "lt")
        if (limit := getattr(kind, bound)) is not None
    }
    if shown.keys() == {"ge", "le"}:
        return f"{name} from {shown['ge']} to {shown['le']}"
    words = {"ge": "of at least", "gt": "above", "le": "at most", "lt": "below"}
    return f"{name} {' and '.join(f'{words[bound]} {limit}' for bound, limit in shown.items())}"


class ModelConfig(ConfigStruct, frozen=True):
    """The size of a GPT.

    `vocab_size` is 0 until the tokenizer has seen the data; a model can only be built after that.
    """

    n_layers: Annotated[int, Meta(ge=1, le=96)]
    width: Annotated[int, Meta(ge=2, le=4096)]
    n_heads: Annotated[int, Meta(ge=1, le=256)]
    context: Annotated[int, Meta(ge=1, le=8192)] = 64
    vocab_size: VocabSize = 0
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.n_heads:
            raise ConfigError(f"must be a multiple of n_heads {self.n_heads}, not {self.width}", "width")

    @property
    def head_size(self) -> int:
        return self.width // self.n_heads

    @property
    def n_parameters(self) -> int:
        """The exact count: embedding, layers, final norm, untied head with its bias."""
        d, v = self.width, self.vocab_size
        return 2 * v * d + v + self.n_layers * (12 * d * d + 10 * d) + 2 * d


class TokenizerConfig(ConfigStruct, frozen=True):
    """The kind of tokenizer, and its size: required for `bpe`, expected for `char`, always 256 for `byte`."""

    kind: TokenizerKind = "byte"
    vocab_size: VocabSize = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind == "bpe" and self.vocab_size < 257:
            raise ConfigError(
                f"must be 257 or more for bpe, which starts from the 256 bytes, not {self.vocab_size}",
                "vocab_size",
            )


class DataConfig(ConfigStruct, frozen=True):
    """The training text; `paths` (files or globs) belong to the sources `files` and `rust`."""

    source: SourceKind
    paths: tuple[str, ...] = ()
    lines: Annotated[int, Meta(ge=1, le=10_000_000)] = 8000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.source == "files" and not self.paths:
            raise ConfigError("needs at least one path for the source `files`", "paths")


class Initialisation(ConfigStruct, frozen=True):
    """Initial parameters: standard deviations of normal distributions; biases start at 0.

    With `scale_by_width`, `matrix_std` is that of width 64, scaled by sqrt(64 / width). `gain` is the
    LayerNorm gain: 1 everywhere, or drawn like a matrix (the journal's choice, which is worse).
    `scale_residual` divides the two matrices per layer that write to the residual stream by sqrt(2 * layers).
    `position_amplitude` scales the sinusoid that is added to the token embedding.
    """

    matrix_std: _UpTo10 = 0.02
    embedding_std: _UpTo10 = 0.02
    scale_by_width: bool = False
    gain: Literal["ones", "normal"] = "ones"
    scale_residual: bool = True
    position_amplitude: _UpTo10 = 1.0


class AttentionConfig(ConfigStruct, frozen=True):
    """How attention knows the order of tokens, beside the sinusoid of `Initialisation`, and what it mixes.

    `rotary_share` of each head's query and key columns, the first ones, are rotated by the position, at
    wavelengths from 2 pi to nearly 2 pi times `rotary_base` tokens. `shifted_keys` is the share of each
    head's key columns, the last ones, that come from the token before. `value_residual` is the share of the
    first layer's values in those of later layers. 0 leaves any of them out.
    """

    rotary_share: _Share = 0.0
    rotary_base: Annotated[float, Meta(ge=1, le=1e9)] = 1000.0
    shifted_keys: _Share = 0.0
    value_residual: _Share = 0.0

    def rotated_columns(self, head_size: int) -> int:
        """Columns of each head that are rotated; an even number. Raises: ConfigError."""
        columns = self.rotary_share * head_size
        if not math.isclose(columns, 2 * round(columns / 2), abs_tol=1e-9):
            raise ConfigError(
                f"must leave an even number of columns, but {self.rotary_share:g} of heads of {head_size} "
                f"is {columns:g}: choose another share, width or number of heads",
                "rotary_share",
            )
        return round(columns)

    def shifted_columns(self, head_size: int) -> int:
        """Key columns of each head that are shifted. Raises: ConfigError."""
        if self.shifted_keys and head_size == 1:
            raise ConfigError("must be 0 for heads of size 1, which have no column to spare", "shifted_keys")
        return round(self.shifted_keys * head_size)


class AdamWConfig(ConfigStruct, frozen=True, tag="adamw"):
    """AdamW (Loshchilov and Hutter, 2019). `weight_decay` applies to every parameter, as in femtoGPT, or to
    matrices only. Gradients with a global norm above `clip_norm` are scaled down to it; None never clips.
    """

    beta1: _Decay = 0.9
    beta2: _Decay = 0.999
    eps: Annotated[float, Meta(ge=1e-16, le=1)] = 1e-8
    weight_decay: _UpTo10 = 0.01
    decay: Literal["all", "matrices"] = "matrices"
    clip_norm: Annotated[float, Meta(ge=1e-6, le=1e6)] | None = None


class MuonConfig(ConfigStruct, frozen=True, tag="muon"):
    """Muon (Jordan and others, 2024) for the matrices inside the layers, AdamW for everything else.

    `lr` is the matrices' rate when the schedule is at its base rate; both rise and fall together.
    `iterations` is the number of Newton-Schulz iterations; `weight_decay` applies to those matrices. The
    gradient of both is clipped by `adamw.clip_norm`.
    """

    lr: Annotated[float, Meta(ge=1e-12, le=10)] = 0.02
    momentum: _Decay = 0.95
    iterations: Annotated[int, Meta(ge=1, le=50)] = 5
    weight_decay: _UpTo10 = 0.0
    adamw: AdamWConfig = AdamWConfig()


OptimizerConfig = AdamWConfig | MuonConfig


class ScheduleConfig(ConfigStruct, frozen=True):
    """Learning rate: linear warm-up from 0 to `base_lr` over `warmup_steps`, then linear decay to `min_lr`.

    The decay takes `decay_steps`; None makes it end with the run.
    """

    base_lr: Annotated[float, Meta(ge=1e-12, le=10)] = 1e-3
    min_lr: _UpTo10 = 1e-5
    warmup_steps: Annotated[int, Meta(ge=0, le=1_000_000)] = 100
    decay_steps: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_lr > self.base_lr:
            raise ConfigError(f"must not be above base_lr {self.base_lr:g}, but is {self.min_lr:g}", "min_lr")


class Recipe(ConfigStruct, frozen=True):
    """Wiring, initialisation, optimizer, schedule and batching: everything but the size and the data.

    `fresh_data` makes a synthetic source generate endless new lines, which a model cannot memorise: a new
    block of them after `epochs_per_block` epochs.
    """

    name: str
    summary: str
    wiring: Wiring
    init: Initialisation
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    attention: AttentionConfig = AttentionConfig()
    fresh_data: bool = False
    epochs_per_block: Annotated[int, Meta(ge=1, le=1000)] = 4


class TrainConfig(ConfigStruct, frozen=True):
    """Length, batching, evaluation and checkpoints of a run. 0 `threads` or `chunk` are chosen automatically.

    `threads` share a batch; each works on `chunk` sequences at a time. `eval_every` and `score_every` are in
    steps (0 scores at the end only), `checkpoint_seconds` in seconds of training. The last
    `keep_checkpoints` stay, and with `keep_best` the one of the lowest validation loss, however old.
    """

    steps: Steps
    batch: BatchSize = 32
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)] = 0
    threads: Annotated[int, Meta(ge=0, le=256)] = 0
    chunk: Annotated[int, Meta(ge=0, le=4096)] = 0
    eval_every: EvalEvery = 100
    eval_windows: EvalWindows = 64
    checkpoint_seconds: Annotated[float, Meta(ge=0.01, le=1e6)] = 30.0
    keep_checkpoints: Annotated[int, Meta(ge=1, le=1000)] = 3
    keep_best: bool = True
    score_every: Annotated[int, Meta(ge=0, le=100_000_000)] = 500


class RunConfig(ConfigStruct, frozen=True):
    """All settings that affect a run's numbers: equal RunConfigs (with threads and chunk) give equal bits.

    `preset` is the preset's key: "1" to "14" for the packaged ones, a slug for a user preset.
    """

    preset: str
    title: str
    model: ModelConfig
    tokenizer: TokenizerConfig
    data: DataConfig
    recipe: Recipe
    train: TrainConfig

    def __post_init__(self) -> None:
        super().__post_init__()
        self.recipe.attention.rotated_columns(self.model.head_size)
        self.recipe.attention.shifted_columns(self.model.head_size)
