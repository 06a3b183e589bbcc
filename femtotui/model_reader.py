"""What a model, or a model and another, make of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from femtotui.core.errors import ConfigError, TokenizerError
from femtotui.core.prompts import characters_lacking, lacking_words
from femtotui.core.sample import SampledToken, Sampler, Sampling
from femtotui.core.saved import SavedModel


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
