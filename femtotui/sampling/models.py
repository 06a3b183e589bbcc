"""Models that screens read from: the one that trains, as its parameters were at a step, or a saved one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from femtotui.core.config import RunConfig
from femtotui.core.errors import ConfigError, TokenizerError
from femtotui.core.files import open_own
from femtotui.core.run_folder.info import RunFile
from femtotui.core.run_folder.saved_model import SavedModel
from femtotui.core.sampling.sampler import SampledToken, Sampler, Sampling
from femtotui.core.tokenizers.tokenizer import characters_lacking, lacking_words, load_tokenizer

from ..trainer.protocol import SnapshotArrived


class LiveModel:
    """A run's parameters at a step; folding them into a sampler is done once, when it is first asked for."""

    def __init__(self, run: Path, config: RunConfig, snapshot: SnapshotArrived) -> None:
        self.run, self.config, self.snapshot = run, config, snapshot
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
                with open(self.run / RunFile.TOKENIZER, encoding="utf-8", opener=open_own) as file:
                    tokenizer = load_tokenizer(file.read())
                recipe, parameters_P = self.config.recipe, self.snapshot.parameters_P
                self._sampler = Sampler(self.config.model, recipe, parameters_P, tokenizer)
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


class NewestModel:
    """The newest parameters that anybody asked for, folded once for all who read from them."""

    def __init__(self) -> None:
        self._model: LiveModel | None = None

    def of(self, run: Path, config: RunConfig, snapshot: SnapshotArrived) -> LiveModel:
        """The same model again as long as the parameters are the same."""
        if self._model is None or self._model.snapshot is not snapshot:
            self._model = LiveModel(run, config, snapshot)
        return self._model


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


T = TypeVar("T")


class OneShot(Generic[T]):
    """Something large for a Textual worker, to be taken out by it once.

    A worker refers to itself in a circle, and to its arguments, which therefore stay until Python next looks
    for such circles: a minute, in which the parameters of a large model may come ten times.
    """

    def __init__(self, value: T) -> None:
        self._held = [value]

    def take(self) -> T:
        """The thing itself; nothing of it is kept here."""
        return self._held.pop()
