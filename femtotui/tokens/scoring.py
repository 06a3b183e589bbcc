"""Scores of a text under one model or two: bits per byte, perplexity, differences token by token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from femtotui.core.sampling.distribution import Alternative, SampledToken, Sampling

MAX_ALTERNATIVES = 60

LEAST_SHOWN = 0.0005
"""Alternatives below this would all read 0.0%; the first ten are listed all the same."""


TITLE_BYTES = 12


class TextScore(NamedTuple):
    """A model's score of a text, in sums that can be added to."""

    n_tokens: int = 0
    n_bytes: int = 0
    bits: float = 0.0

    def plus(self, tokens: Iterable[SampledToken]) -> TextScore:
        """This score and that of further tokens."""
        n_tokens, n_bytes, bits = self
        for token in tokens:
            n_tokens, n_bytes, bits = n_tokens + 1, n_bytes + len(token.bytes), bits + token.surprise_bits
        return TextScore(n_tokens, n_bytes, bits)

    @property
    def bits_per_byte(self) -> float:
        """NaN for an empty text."""
        return self.bits / self.n_bytes if self.n_bytes else float("nan")

    @property
    def perplexity(self) -> float:
        """2 to the power of the mean surprise per token: the number of equally likely tokens."""
        if not self.n_tokens:
            return float("nan")
        mean = self.bits / self.n_tokens
        return float(2.0**mean) if mean < 1000 else float("inf")

    def __str__(self) -> str:
        if not self.n_tokens:
            return "no tokens yet"
        return (
            f"{self.bits_per_byte:.3f} bits per byte · perplexity {self.perplexity:.3g} · "
            f"{self.n_tokens:,} tokens, {self.n_bytes:,} bytes"
        )


@dataclass(frozen=True)
class ScoredText:
    """A prompt and the tokens after it; `others` are the same tokens under a second model, or none."""

    prompt: bytes = b""
    tokens: Sequence[SampledToken] = ()
    others: Sequence[SampledToken] = ()

    @property
    def data(self) -> bytes:
        """The bytes after the prompt."""
        return b"".join(token.bytes for token in self.tokens)

    def before(self, at: int) -> bytes:
        """The end of the text before a token, as much as a title holds."""
        tokens = self.tokens[max(0, at - TITLE_BYTES) : at]
        text = self.prompt + b"".join(token.bytes for token in tokens)
        return text[-TITLE_BYTES:]

    @property
    def differences(self) -> tuple[float, ...]:
        """The bits by which the first model predicted each token better than the second."""
        pairs = zip(self.tokens, self.others, strict=False)
        return tuple(other.surprise_bits - token.surprise_bits for token, other in pairs)

    @property
    def figures(self) -> str:
        """The score in words."""
        score = TextScore().plus(self.tokens)
        if not self.others:
            return str(score)
        other = TextScore().plus(self.others)
        return f"{score.bits_per_byte:.3f} bits per byte, beside {other.bits_per_byte:.3f}"

    def alternatives(self, at: int, sampling: Sampling) -> tuple[Alternative, ...]:
        """The most probable tokens at an index, best first, as `sampling` would filter them now.

        Compared with a second model, `p_cut` is its probability instead.
        """
        top = self.tokens[at].distribution.with_sampling(sampling).top(MAX_ALTERNATIVES)
        top = tuple(a for n, a in enumerate(top) if n < 10 or max(a.p, a.p_cut) >= LEAST_SHOWN)
        if at >= len(self.others):
            return top
        place = self.others[at].distribution
        theirs = {entry.id: entry.p for entry in place.top(len(place.vocabulary))}
        return tuple(Alternative(a.id, a.bytes, a.p, theirs[a.id]) for a in top)
