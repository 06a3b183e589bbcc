"""The contents of a preset's TOML file: the settings of a run, and the journal's record of it.

Presets may come from anyone; their texts are shown on screens, and their keys are parts of folder names. So
keys are slugs and every text is printable: no line breaks, control characters or terminal escapes.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from femtotui.core.config import (
    BatchSize,
    ConfigStruct,
    DataConfig,
    EvalEvery,
    EvalWindows,
    ModelConfig,
    Rate,
    Steps,
    TokenizerConfig,
)
from femtotui.core.errors import ConfigError

MAX_TITLE_LENGTH = 60
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_BYTE_VOCABULARY = 256
_Step = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
_Nats = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class _PrintableStruct(ConfigStruct, frozen=True):
    """Base of what a preset's file holds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_printable(**msgspec.structs.asdict(self))


class JournalAttempt(ConfigStruct, frozen=True):
    """Another training of the same entry, from scratch with the same settings."""

    step: _Step
    loss: _Nats
    elapsed_s: _Seconds | None = None


class JournalRecord(_PrintableStruct, frozen=True):
    """The journal's record of an entry; None where it has no figure.

    `loss` is the training loss of the last step, in nats per token. `command` created its data, `ram` and
    `ms_per_step` are the journal's rough figures, `note` is a brief result.
    """

    entry: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    verdict: Literal["success", "fail"]
    step: _Step
    loss: _Nats
    command: str
    note: str
    elapsed_s: _Seconds | None = None
    machine: str | None = None
    ms_per_step: str | None = None
    ram: str | None = None
    again: JournalAttempt | None = None


class Goal(ConfigStruct, frozen=True):
    """The criterion of success for a preset.

    `score` is the evaluator's: a share of tasks to reach, or bits per byte not to exceed; None means to beat
    a trigram model of the same text. `seconds` is the most it may take on two cores.
    """

    seconds: _Seconds
    score: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None


class Peer(_PrintableStruct, frozen=True):
    """The validation loss of another program on the same text, in nats per token, to be beaten.

    `name` labels it on a chart, `note` says how it was trained; `elapsed_s` is None if it was not timed.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=16)]
    val_loss: _Nats
    note: str
    elapsed_s: _Seconds | None = None


class Preset(_PrintableStruct, frozen=True):
    """A model, its tokenizer, its data and its number of steps: an entry of the journal, or a user preset.

    `key` names it on the command line and in run folders: "1" to "12" for the journal's entries, "13" and
    "14" for later ones, a slug for a user preset. `notes` are shown to whoever selects it.
    `model.vocab_size` may be 0: the data then decides. `learning_rate` replaces the recipe's `base_lr`, and
    its `min_lr` follows in proportion; `muon_lr` replaces the rate of its Muon, if it has one. It is
    validated every `eval_every` steps on `eval_windows` windows of the context's length.
    """

    key: str
    title: str
    model: ModelConfig
    tokenizer: TokenizerConfig
    data: DataConfig
    steps: Steps
    batch: BatchSize = 32
    recipe: str = "modern"
    learning_rate: Rate | None = None
    muon_lr: Rate | None = None
    notes: tuple[str, ...] = ()
    eval_every: EvalEvery = 100
    eval_windows: EvalWindows = 64
    journal: JournalRecord | None = None
    peer: Peer | None = None
    goal: Goal | None = None

    def __post_init__(self) -> None:
        if not _SLUG.fullmatch(self.key):
            raise ConfigError(
                "must be 1 to 32 small letters, digits and hyphens, such as `my-preset`, "
                f"not {_shortened(self.key)}",
                "key",
            )
        if not 1 <= len(self.title) <= MAX_TITLE_LENGTH:
            raise ConfigError(f"must have 1 to {MAX_TITLE_LENGTH} characters, not {len(self.title)}", "title")
        super().__post_init__()
        _require_one_vocabulary(self.model, self.tokenizer)


def require_printable(**values: object) -> None:
    """Refuse text with control characters or line breaks. Raises: ConfigError, naming the text."""
    for name, value in values.items():
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and not text.isprintable():
                raise ConfigError(f"must be one line of printable text, not {_shortened(text)}", name)


def _shortened(text: str, most: int = 40) -> str:
    return ascii(text if len(text) <= most else f"{text[:most]}…")


def _require_one_vocabulary(model: ModelConfig, tokenizer: TokenizerConfig) -> None:
    expected = _BYTE_VOCABULARY if tokenizer.kind == "byte" else tokenizer.vocab_size
    if tokenizer.kind == "byte" and tokenizer.vocab_size not in (0, _BYTE_VOCABULARY):
        raise ConfigError(
            f"must be {_BYTE_VOCABULARY} for byte, not {tokenizer.vocab_size:,}", "tokenizer.vocab_size"
        )
    if model.vocab_size not in (0, expected) and expected:
        raise ConfigError(
            f"must be the tokenizer's, {expected:,}, or be left out, not {model.vocab_size:,}",
            "model.vocab_size",
        )
