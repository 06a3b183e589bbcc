"""What a preset's TOML may hold: the settings of a run, and what the journal wrote down about it.

Presets may come from anyone, and their words end up on screens and their keys in folder names. So keys are
slugs and every text is printable: no line breaks, no control characters, no terminal escapes.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from femtotui.core.config import ConfigStruct, DataConfig, ModelConfig, TokenizerConfig, TrainConfig
from femtotui.core.errors import ConfigError

MAX_TITLE_LENGTH = 60
MAX_LEARNING_RATE = 10.0
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_BYTE_VOCABULARY = 256
_Step = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
_Nats = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class JournalAttempt(ConfigStruct, frozen=True):
    """A further training of the same entry, from scratch with the same settings."""

    step: _Step
    loss: _Nats
    elapsed_s: _Seconds | None = None


class JournalRecord(ConfigStruct, frozen=True):
    """What the journal noted about an entry; None where it noted nothing.

    `loss` is the training loss of the last step, in nats a token. `command` is how its data was made, `ram`
    and `ms_per_step` are the journal's own rough figures, `note` says in brief what came out of it.
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

    def __post_init__(self) -> None:
        require_printable(
            command=self.command,
            note=self.note,
            machine=self.machine,
            ms_per_step=self.ms_per_step,
            ram=self.ram,
        )


class Goal(ConfigStruct, frozen=True):
    """What success means for a preset, by measure.

    `score` is the evaluator's: a share of tasks to reach, or bits a byte not to exceed; None means to beat a
    trigram model of the same text. `seconds` is how long it may take at most on two cores.
    """

    seconds: _Seconds
    score: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None


class Peer(ConfigStruct, frozen=True):
    """What another program reached on the same text: a validation loss, in nats a token, to be beaten.

    `name` is what a chart calls it, `note` says how it was trained; `elapsed_s` is None if nobody timed it.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=16)]
    val_loss: _Nats
    note: str
    elapsed_s: _Seconds | None = None

    def __post_init__(self) -> None:
        require_printable(name=self.name, note=self.note)


class Preset(ConfigStruct, frozen=True):
    """A model, its tokenizer, its data and for how long: one entry of the journal, or one's own.

    `key` names it on the command line and in run folders: "1" to "12" for the journal's entries, "13" and
    "14" for what came after it, a slug for one's own. `notes` are said to whoever picks it.
    `model.vocab_size` may be 0: the data then decides. `learning_rate` takes the place of the recipe's
    `base_lr`, and its `min_lr` follows in proportion; `muon_lr` takes that of the rate of its Muon, if it has
    one. `eval_every` and `eval_windows` say how often, and on
    how many windows of the context's length, it is validated: text needs more of them than words with rules.
    """

    key: str
    title: str
    model: ModelConfig
    tokenizer: TokenizerConfig
    data: DataConfig
    steps: int
    batch: int = 32
    recipe: str = "modern"
    learning_rate: float | None = None
    muon_lr: float | None = None
    notes: tuple[str, ...] = ()
    eval_every: int = 100
    eval_windows: int = 64
    journal: JournalRecord | None = None
    peer: Peer | None = None
    goal: Goal | None = None

    def __post_init__(self) -> None:
        if not _SLUG.fullmatch(self.key):
            raise ConfigError(
                "key must be 1 to 32 small letters, digits and hyphens, such as `my-preset`, "
                f"not {_shortened(self.key)}"
            )
        if not 1 <= len(self.title) <= MAX_TITLE_LENGTH:
            raise ConfigError(f"title must have 1 to {MAX_TITLE_LENGTH} characters, not {len(self.title)}")
        require_printable(title=self.title, recipe=self.recipe)
        for note in self.notes:
            require_printable(notes=note)
        TrainConfig(  # refuses what no run could have
            steps=self.steps,
            batch=self.batch,
            eval_every=self.eval_every,
            eval_windows=self.eval_windows,
        )
        _require_rate("learning_rate", self.learning_rate)
        _require_rate("muon_lr", self.muon_lr)
        _require_one_vocabulary(self.model, self.tokenizer)


def _require_rate(name: str, rate: float | None) -> None:
    if rate is not None and not 0 < rate <= MAX_LEARNING_RATE:
        raise ConfigError(f"{name} must be above 0 and at most {MAX_LEARNING_RATE:g}, not {rate:g}")


def require_printable(**texts: str | None) -> None:
    """Refuses text that could do more to a terminal than be read.

    Raises: ConfigError, naming the text.
    """
    for name, text in texts.items():
        if text and not text.isprintable():
            raise ConfigError(f"{name} must be one line of printable text, not {_shortened(text)}")


def _shortened(text: str, most: int = 40) -> str:
    return ascii(text if len(text) <= most else f"{text[:most]}…")


def _require_one_vocabulary(model: ModelConfig, tokenizer: TokenizerConfig) -> None:
    expected = _BYTE_VOCABULARY if tokenizer.kind == "byte" else tokenizer.vocab_size
    if tokenizer.kind == "byte" and tokenizer.vocab_size not in (0, _BYTE_VOCABULARY):
        raise ConfigError(f"a byte vocabulary has {_BYTE_VOCABULARY} tokens, not {tokenizer.vocab_size:,}")
    if model.vocab_size not in (0, expected) and expected:
        raise ConfigError(
            f"the model's vocab_size {model.vocab_size:,} must be the tokenizer's, {expected:,} "
            "(or be left out)"
        )
