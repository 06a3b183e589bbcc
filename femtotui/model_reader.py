"""The model that the sampling screen works with, and what it, or it and another, make of a text."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from femtotui.core.config import RunConfig
from femtotui.core.errors import ConfigError, TokenizerError
from femtotui.core.prompts import characters_lacking, lacking_words
from femtotui.core.sample import SampledToken, Sampler, Sampling
from femtotui.core.saved import SavedModel

from .desk import Place
from .sampling import sampler_of
from .trainer import SnapshotArrived


class LiveModel:
    """A run's parameters at a step; folding them into a sampler is done once, when it is first asked for."""

    def __init__(self, run: Path, config: RunConfig, snapshot: SnapshotArrived) -> None:
        self.config, self.snapshot = config, snapshot
        self._run = run
        self._lock = threading.Lock()
        self._sampler: Sampler | None = None

    @property
    def name(self) -> str:
        return f"#{self.config.preset} {self.config.title}, step {self.snapshot.step:,}"

    def sampler(self) -> Sampler:
        """One for the caller alone, from any thread.

        Raises: FemtoError; OSError if the run's tokenizer cannot be read.
        """
        with self._lock:
            if self._sampler is None:
                self._sampler = sampler_of(self._run, self.config, self.snapshot)
            return self._sampler.sibling()


class PinnedModel:
    """A saved model in the place of the live one: it stays what it is while the training goes on."""

    def __init__(self, saved: SavedModel) -> None:
        self._saved = saved

    @property
    def name(self) -> str:
        return self._saved.name

    def sampler(self) -> Sampler:
        """One for the caller alone, from any thread."""
        return self._saved.sampler.sibling()


def live_model(place: Place | None) -> LiveModel | None:
    """The newest parameters that are known of a run, if any are."""
    if place is None or place.snapshot is None or place.view.started is None:
        return None
    return LiveModel(Path(place.view.started.run), place.view.config, place.snapshot)


@dataclass(frozen=True)
class Compared:
    """A text under two models; a difference is by how many bits the first foresaw the token better."""

    tokens: tuple[SampledToken, ...]
    others: tuple[SampledToken, ...]

    @property
    def differences(self) -> tuple[float, ...]:
        pairs = zip(self.tokens, self.others, strict=True)
        return tuple(other.surprise_bits - token.surprise_bits for token, other in pairs)


def read_text(sampler: Sampler, prompt: bytes, text: bytes, sampling: Sampling) -> tuple[SampledToken, ...]:
    """Every token of a text after a prompt. Raises: FemtoError, in words for the field."""
    require_writable(sampler, prompt + text)
    return tuple(sampler.score(prompt, text, sampling))


def compare(
    sampler: Sampler, other: SavedModel, prompt: bytes, tokens: Sequence[SampledToken], sampling: Sampling
) -> Compared:
    """Both models on the same tokens.

    Raises: ConfigError if they cut text into different tokens.
    """
    if sampler.tokenizer.to_json() != other.sampler.tokenizer.to_json():
        raise ConfigError(f"{other.name} cuts text into other tokens: the two cannot be compared")
    prompt_ids, ids = sampler.encode(prompt), [token.id for token in tokens]
    mine = tuple(sampler.score_ids(prompt_ids, ids, sampling))
    return Compared(mine, tuple(other.sampler.score_ids(prompt_ids, ids, sampling)))


def require_writable(sampler: Sampler, text: bytes) -> None:
    """Raises: TokenizerError, naming the characters that the tokenizer lacks, and the key that drops them."""
    lacking = characters_lacking(sampler.tokenizer, text)
    if lacking:
        raise TokenizerError(f"{lacking_words(lacking)}: ctrl+l leaves them out")
