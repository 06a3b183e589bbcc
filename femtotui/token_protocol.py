"""What the widgets ask of a sampled token; `femtotui.core.sample` has the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


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
