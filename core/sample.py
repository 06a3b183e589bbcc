"""Generating text from a model, with what the model thought at every token.

Sources: top-k as in Fan et al., "Hierarchical Neural Story Generation" (2018); top-p as in Holtzman et al.,
"The Curious Case of Neural Text Degeneration" (2020).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import FloatArray
from .config import MAX_SEED, ModelConfig, Recipe
from .decoder import Decoder
from .errors import ConfigError
from .tokenizer import Tokenizer

MAX_TOKENS = 1_000_000


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Temperature 0 takes the most probable; top-k 0 cuts nothing."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    alternatives: int = 10

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and 0 <= self.temperature <= 100):
            raise ConfigError(f"temperature must be a number from 0 to 100, not {self.temperature:g}")
        if self.top_k < 0:
            raise ConfigError(f"top-k must be 0 (no cut) or more, not {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top-p must be above 0 and at most 1, not {self.top_p:g}")
        if not 0 <= self.seed <= MAX_SEED:
            raise ConfigError(f"the seed must be from 0 to {MAX_SEED:,}, not {self.seed:,}")
        if self.alternatives < 0:
            raise ConfigError(f"alternatives must be 0 or more, not {self.alternatives}")


JOURNAL_SAMPLING = Sampling(temperature=1.0, top_p=0.5)
"""The journal's own sampler: femtoGPT's "temperature 0.5" keeps the most probable half, at temperature 1."""


@dataclass(frozen=True)
class Alternative:
    """A token that could have come: its probability as the model gave it, and after cutting."""

    id: int
    bytes: bytes
    p: float
    p_cut: float


@dataclass(frozen=True)
class SampledToken:
    """A token that came, and what the model thought of it.

    `rank` counts from 1 for the most probable; `surprise_bits` is -log2(p); `entropy_bits` is that of the
    whole distribution as the model gave it; `top` lists the most probable tokens, best first.
    """

    id: int
    bytes: bytes
    p: float
    p_cut: float
    rank: int
    surprise_bits: float
    entropy_bits: float
    top: tuple[Alternative, ...]


class Sampler:
    """Generates from one set of parameters, of which it takes a copy."""

    def __init__(self, config: ModelConfig, recipe: Recipe, flat_P: FloatArray, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._decoder = Decoder(config, recipe, flat_P)
        self._bytes = [tokenizer.token_bytes(i) for i in range(config.vocab_size)]

    def generate(self, prompt: bytes, n_tokens: int, sampling: Sampling) -> Iterator[SampledToken]:
        """Continue `prompt` by `n_tokens`. The same seed gives the same tokens.

        An empty prompt stands for a newline, as in the journal. When the context is full, the model reads the
        last half of it afresh and goes on: what follows is as if the text had begun there.

        Raises
        ------
        ConfigError
            For a number of tokens out of range.
        TokenizerError
            For a prompt with a character that the tokenizer lacks.
        """
        if not 1 <= n_tokens <= MAX_TOKENS:
            raise ConfigError(f"the number of tokens must be from 1 to {MAX_TOKENS:,}, not {n_tokens:,}")
        ids = [int(i) for i in self.tokenizer.encode(prompt or b"\n")]
        return self._continue(ids, n_tokens, sampling)

    def _continue(self, ids: list[int], n_tokens: int, sampling: Sampling) -> Iterator[SampledToken]:
        rng = np.random.Generator(np.random.PCG64([sampling.seed, 3]))
        logits_V = self._read(ids[-self._decoder.config.context :])
        for _ in range(n_tokens):
            token = self._choose(logits_V.astype(np.float64), sampling, float(rng.random()))
            ids.append(token.id)
            yield token
            if self._decoder.position == self._decoder.config.context:
                logits_V = self._read(ids[-max(1, self._decoder.config.context // 2) :])
            else:
                logits_V = self._decoder.feed(token.id)

    def _read(self, ids: list[int]) -> FloatArray:
        """Forget everything, read `ids`, and return the logits after them."""
        self._decoder.reset()
        for token_id in ids[:-1]:
            self._decoder.feed(token_id)
        return self._decoder.feed(ids[-1])

    def _choose(self, logits_V: FloatArray, sampling: Sampling, uniform: float) -> SampledToken:
        p_V = softmax(logits_V)
        order_V = np.argsort(-p_V, kind="stable")
        cut_V = cut(logits_V, order_V, sampling)
        cumulative_V = np.cumsum(cut_V)
        chosen = int(np.searchsorted(cumulative_V, uniform * cumulative_V[-1], side="right"))
        top = tuple(
            Alternative(i, self._bytes[i], float(p_V[i]), float(cut_V[i]))
            for i in map(int, order_V[: sampling.alternatives])
        )
        p = float(p_V[chosen])
        positive = p_V[p_V > 0]
        return SampledToken(
            id=chosen,
            bytes=self._bytes[chosen],
            p=p,
            p_cut=float(cut_V[chosen]),
            rank=int(np.count_nonzero(p_V > p)) + 1,
            surprise_bits=-math.log2(p) if p > 0 else math.inf,
            entropy_bits=-float(positive.dot(np.log2(positive))),
            top=top,
        )


def softmax(logits_V: FloatArray) -> FloatArray:
    """Probabilities that sum to 1."""
    exp_V: FloatArray = np.exp(logits_V - logits_V.max())
    np.divide(exp_V, exp_V.sum(), out=exp_V)
    return exp_V


def cut(logits_V: FloatArray, order_V: NDArray[np.intp], sampling: Sampling) -> FloatArray:
    """Probabilities after temperature, top-k and top-p, in this order; `order_V` is best first.

    Top-p keeps the fewest most probable tokens whose probabilities together reach it, at least one.
    """
    if sampling.temperature == 0:
        p_V = np.zeros_like(logits_V)
        p_V[order_V[0]] = 1
        return p_V
    p_V = softmax(logits_V / sampling.temperature)
    if sampling.top_k:
        p_V[order_V[sampling.top_k :]] = 0
        p_V /= p_V.sum()
    if sampling.top_p < 1:
        before_V = np.cumsum(p_V[order_V]) - p_V[order_V]
        p_V[order_V[before_V >= sampling.top_p]] = 0
        p_V /= p_V.sum()
    return p_V
