"""Tokens and what else was likely, in the journal's notation: `[(' ', 88.8%), ('}', 0.9%), ...]`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .safe_text import printable
from .token_protocol import AlternativeLike, TokenLike


def quoted_token(token: bytes) -> str:
    r"""A token between quotes, inert: newlines and tabs as in a string (`'\n'`), other bytes as `\xe2`."""
    text = token.decode("utf-8", "backslashreplace").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{printable(text.replace(chr(9), chr(92) + 't'))}'"


def log_probs(alternatives: Iterable[AlternativeLike]) -> str:
    """One distribution, best first."""
    entries = ", ".join(f"({quoted_token(a.bytes)}, {100 * a.p:.1f}%)" for a in alternatives)
    return f"[{entries}]"


def log_prob_lines(tokens: Sequence[TokenLike]) -> str:
    """A line a token: what came, how likely it was, and what was likely there."""
    return "".join(f"{log_prob_line(token)}\n" for token in tokens)


def log_prob_line(token: TokenLike) -> str:
    """What came, how likely it was, and the likeliest at its place."""
    return f"{quoted_token(token.bytes)} {100 * token.p:.1f}% {log_probs(token.top)}"
