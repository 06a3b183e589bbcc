"""How well a text was foreseen, summed up: bits, bits a byte, perplexity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .token_protocol import ScoredTokenLike


class Reading(NamedTuple):
    """What a model made of a text, in sums that can be added to."""

    n_tokens: int = 0
    n_bytes: int = 0
    bits: float = 0.0

    def plus(self, tokens: Iterable[ScoredTokenLike]) -> Reading:
        """This, and further tokens."""
        n_tokens, n_bytes, bits = self
        for token in tokens:
            n_tokens, n_bytes, bits = n_tokens + 1, n_bytes + len(token.bytes), bits + token.surprise_bits
        return Reading(n_tokens, n_bytes, bits)

    @property
    def bits_per_byte(self) -> float:
        """NaN for an empty text."""
        return self.bits / self.n_bytes if self.n_bytes else float("nan")

    @property
    def perplexity(self) -> float:
        """2 to the power of the mean surprise a token: as if that many tokens had been equally likely."""
        if not self.n_tokens:
            return float("nan")
        mean = self.bits / self.n_tokens
        return float(2.0**mean) if mean < 1000 else float("inf")

    def __str__(self) -> str:
        if not self.n_tokens:
            return "nothing to read yet"
        return (
            f"{self.bits_per_byte:.3f} bits a byte · perplexity {self.perplexity:.3g} · "
            f"{self.n_tokens:,} tokens, {self.n_bytes:,} bytes"
        )
