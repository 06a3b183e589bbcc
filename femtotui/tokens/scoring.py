"""How well a text was foreseen, summed up: bits, bits a byte, perplexity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol


class TextScore(NamedTuple):
    """What a model made of a text, in sums that can be added to."""

    n_tokens: int = 0
    n_bytes: int = 0
    bits: float = 0.0

    def plus(self, tokens: Iterable[ScoredTokenLike]) -> TextScore:
        """This, and further tokens."""
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


class AlternativeLike(Protocol):
    """One entry of a distribution: a token's bytes, its probability (0 to 1), and that after cutting."""

    @property
    def bytes(self) -> bytes: ...
    @property
    def p(self) -> float: ...
    @property
    def p_cut(self) -> float: ...


class TokenLike(Protocol):
    """A chosen token: its bytes, its probability, and the likeliest tokens at its place, best first."""

    @property
    def bytes(self) -> bytes: ...
    @property
    def p(self) -> float: ...
    @property
    def top(self) -> Sequence[AlternativeLike]: ...


class ScoredTokenLike(TokenLike, Protocol):
    """A chosen token with its rank (1 is the likeliest), surprise and the distribution's entropy, in bits."""

    @property
    def rank(self) -> int: ...
    @property
    def surprise_bits(self) -> float: ...
    @property
    def entropy_bits(self) -> float: ...
