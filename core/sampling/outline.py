"""Sampled tokens in little room: what the screen can show of them, without the logits of a whole vocabulary.

Each place keeps its most probable alternatives as they are; the others are summed in groups. One group ends
where the token's own cut does: after this cut, too, the probabilities are those of the whole distribution;
after another cut they are close to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray, IdArray
from .distribution import LN_2, Distribution, SampledToken, Sampling, cut, ranked_weights

N_KNOWN = 16
"""Alternatives of a place that keep their own probability: as many as a small terminal has rows for."""

_LEAST = 1e-250
"""What is less probable than this counts as this: there must be a logarithm."""

_GROUPS = (*range(N_KNOWN), *(N_KNOWN * 8**n for n in range(3)))

TOKEN = np.dtype(
    [
        ("id", np.uint16),
        ("rank", np.uint32),
        ("n_kept", np.uint32),
        ("p_cut", np.float32),
        ("surprise_bits", np.float32),
        ("entropy_bits", np.float32),
        ("best_K", np.uint16, N_KNOWN),
        ("logits_G", np.float32, len(_GROUPS) + 2),
    ]
)
"""A token and its place: 138 bytes, whatever the vocabulary."""


class Outline(Distribution):
    """A distribution whose `logits_V` are means (G): of the `best_K`, one by one, and of the groups after."""

    __slots__ = ("_best_K", "_counts_G", "_entropy_bits")

    def __init__(
        self, packed: np.void, counts_G: IdArray, sampling: Sampling, vocabulary: Sequence[bytes]
    ) -> None:
        super().__init__(packed["logits_G"][: counts_G.size], sampling, vocabulary)
        self._best_K: IdArray = packed["best_K"][: len(vocabulary)]
        self._counts_G, self._entropy_bits = counts_G, float(packed["entropy_bits"])

    def ranked(self, n: int) -> tuple[IdArray, FloatArray]:
        """As of a whole distribution, but there are never more ids than are known.

        Within a group log-probabilities fall evenly with the logarithm of the rank; it has the sum it had.
        """
        counts_G, n_tokens = self._counts_G, int(self._counts_G.sum())
        starts_G = counts_G.cumsum() - counts_G
        middles_G = np.sqrt((starts_G + 1) * (starts_G + counts_G))
        even_V = np.interp(np.log(np.arange(1, n_tokens + 1)), np.log(middles_G), self.logits_V)
        sums_G = np.add.reduceat(np.exp(even_V - even_V[0]), starts_G)
        off_G = self.logits_V + np.log(counts_G) - (np.log(sums_G) + even_V[0])
        return self._best_K[:n], even_V + np.repeat(off_G, counts_G)

    def token(self, token_id: int) -> SampledToken:
        """One of the known tokens as if it had come here."""
        known = self.top(N_KNOWN)
        at = [entry.id for entry in known].index(token_id)
        _, data, p, p_cut = msgspec.structs.astuple(known[at])
        rank = 1 + sum(entry.p > p for entry in known)
        surprise = max(-float(self.logits_V[at]), 0.0) / LN_2
        return SampledToken(token_id, data, p, p_cut, rank, surprise, self._entropy_bits, self)


def pack(tokens: Sequence[SampledToken]) -> NDArray[Any]:
    """Tokens as rows of `TOKEN`."""
    packed_N = np.zeros(len(tokens), TOKEN)
    for packed, token in zip(packed_N, tokens, strict=True):
        best_K, ranked_V = token.place.ranked(N_KNOWN)
        kept = cut(ranked_weights(ranked_V, token.place.sampling.temperature).cumsum(), token.place.sampling)
        starts_G, counts_G = _groups(ranked_V.size, kept.n_kept)
        weights_V = ranked_weights(ranked_V, 1.0)
        sums_G = np.add.reduceat(weights_V, starts_G) / weights_V.sum()
        for name in ("id", "rank", "p_cut", "surprise_bits", "entropy_bits"):
            packed[name] = getattr(token, name)
        packed["n_kept"] = kept.n_kept
        packed["best_K"][: best_K.size] = best_K
        packed["logits_G"][: starts_G.size] = np.log(np.maximum(sums_G / counts_G, _LEAST))
    return packed_N


def unpack(packed_N: NDArray[Any], sampling: Sampling, vocabulary: Sequence[bytes]) -> list[SampledToken]:
    """The tokens again, their places in outline."""
    tokens = []
    for packed in packed_N:
        _, counts_G = _groups(len(vocabulary), int(packed["n_kept"]))
        place = Outline(packed, counts_G, sampling, vocabulary)
        token_id, rank, _, p_cut, surprise, entropy, *_ = packed.item()
        p = 2.0**-surprise
        tokens.append(SampledToken(token_id, vocabulary[token_id], p, p_cut, rank, surprise, entropy, place))
    return tokens


def _groups(n_tokens: int, n_kept: int) -> tuple[IdArray, IdArray]:
    """Where the groups of ranked tokens begin, and how many are in each."""
    # The last token that the cut keeps is by itself, so that the cut falls in the same place again.
    starts = {start for start in (*_GROUPS, n_kept - 1, n_kept) if start < n_tokens}
    starts_G = np.array(sorted(starts), np.int32)
    return starts_G, np.diff(starts_G, append=np.int32(n_tokens))
