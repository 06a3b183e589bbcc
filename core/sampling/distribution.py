"""Next-token distributions: temperature, top-k and top-p, drawing a token, and its statistics.

Sources: top-k as in Fan et al., "Hierarchical Neural Story Generation" (2018); top-p as in Holtzman et al.,
"The Curious Case of Neural Text Degeneration" (2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..config import MAX_SEED
from ..errors import ConfigError
from ..model.layers import FloatArray, IdArray

LN_2 = math.log(2)


@dataclass(frozen=True)
class Sampling:
    """Sampling settings. Temperature 0 chooses the most probable token; top-k 0 keeps all.

    `trims` makes top-p exact: the last token that it keeps loses what exceeds `top_p` of the whole.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    trims: bool = False
    seed: int = 0
    alternatives: int = 10

    def __post_init__(self) -> None:
        t = self.temperature
        if not 0 <= t <= 100:
            raise ConfigError(f"must be from 0 (always the most probable) to 100, not {t:g}", "temperature")
        if self.top_k < 0:
            raise ConfigError(f"must be 0 (no cut) or more, not {self.top_k}", "top-k")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"must be above 0 and at most 1 (no cut), not {self.top_p:g}", "top-p")
        if not 0 <= self.seed <= MAX_SEED:
            raise ConfigError(f"must be from 0 to {MAX_SEED:,}, not {self.seed:,}", "seed")
        if self.alternatives < 0:
            raise ConfigError(f"must be 0 or more, not {self.alternatives}", "alternatives")


JOURNAL_SAMPLING = Sampling(top_p=0.5, trims=True)
"""The journal's sampler. femtoGPT's "temperature 0.5" takes the token, most probable first, at which the
cumulative probability passes a random number below 0.5: probabilities of .45, .40 and .15 become .9, .1 and
0."""


class Cut(NamedTuple):
    """The `n_kept` most probable tokens, which remain after top-k and top-p.

    A token's weight is exp((logit - greatest logit) / temperature). `mass` is the sum of the kept weights, of
    which the last is less by `trimmed`.
    """

    n_kept: int
    mass: float
    trimmed: float = 0.0

    def probability(self, rank: int, weight: float) -> float:
        """The probability after the cut of the token at `rank`, counted from 0."""
        if rank >= self.n_kept:
            return 0.0
        return (weight - (self.trimmed if rank == self.n_kept - 1 else 0)) / self.mass


class Choice(NamedTuple):
    """A token that was drawn, and its probability after the cut."""

    id: int
    p_cut: float


class Alternative(msgspec.Struct, frozen=True):
    """A candidate token: its probability before (`p`) and after (`p_cut`) top-k and top-p."""

    id: int
    bytes: bytes
    p: float
    p_cut: float


def ranked_weights(ranked_V: FloatArray, temperature: float) -> FloatArray:
    """The weights, in float64, of logits in descending order; at temperature 0 all but the first are 0."""
    if temperature == 0:
        greedy_V = np.zeros(ranked_V.size)
        greedy_V[0] = 1
        return greedy_V
    weights_V: FloatArray = np.subtract(ranked_V, ranked_V[0], dtype=np.float64)
    if temperature != 1:
        with np.errstate(over="ignore"):  # to -inf, whose exponential is 0
            np.divide(weights_V, temperature, out=weights_V)
    np.exp(weights_V, out=weights_V)
    return weights_V


def cut(cumulative_V: FloatArray, sampling: Sampling) -> Cut:
    """Cut by top-k, then by top-p, which keeps the fewest tokens that together reach its share."""
    n, trimmed = cumulative_V.size, 0.0
    if sampling.temperature == 0:
        n = 1
    elif sampling.top_k:
        n = min(n, sampling.top_k)
    if sampling.top_p < 1:
        enough = sampling.top_p * cumulative_V[n - 1]
        n = min(n, int(cumulative_V[:n].searchsorted(enough)) + 1)
        trimmed = max(0.0, float(cumulative_V[n - 1] - enough)) if sampling.trims else 0.0
    return Cut(n, float(cumulative_V[n - 1]) - trimmed, trimmed)


def _cut_of(ranked_V: FloatArray, sampling: Sampling) -> Cut:
    return cut(ranked_weights(ranked_V, sampling.temperature).cumsum(), sampling)


def choose(logits_V: FloatArray, sampling: Sampling, uniform: float) -> Choice:
    """Draw a token, given a uniform number in [0, 1). Among equal logits the lower id ranks first."""
    if sampling.temperature == 0:
        return Choice(int(logits_V.argmax()), 1.0)
    ranked_V = np.sort(logits_V)[::-1]
    weights_V = ranked_weights(ranked_V, sampling.temperature)
    cumulative_V = weights_V.cumsum()
    kept = cut(cumulative_V, sampling)
    found = int(cumulative_V[: kept.n_kept].searchsorted(uniform * kept.mass, "right"))
    at_rank = min(found, kept.n_kept - 1)
    value = ranked_V[at_rank]
    equals = (logits_V == value).nonzero()[0]
    at_equal = at_rank - int(np.count_nonzero(logits_V > value)) if equals.size > 1 else 0
    return Choice(int(equals[at_equal]), kept.probability(at_rank, float(weights_V[at_rank])))


class Distribution:
    """The logits (V) of one position and the sampling settings there; all else is computed on demand."""

    __slots__ = ("logits_V", "sampling", "vocabulary")

    def __init__(self, logits_V: FloatArray, sampling: Sampling, vocabulary: Sequence[bytes]) -> None:
        self.logits_V, self.sampling, self.vocabulary = logits_V, sampling, vocabulary

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Distribution):
            return NotImplemented
        return self.sampling == other.sampling and np.array_equal(self.logits_V, other.logits_V)

    __hash__ = None  # type: ignore[assignment]

    def with_sampling(self, sampling: Sampling) -> Distribution:
        """The same logits with other sampling settings."""
        other = copy(self)
        other.sampling = sampling
        return other

    def token(self, token_id: int) -> SampledToken:
        """The statistics of a token at this position, whether or not the cut keeps it."""
        return describe(self.logits_V[None], [token_id], None, self.sampling, self.vocabulary)[0]

    def ranked(self, n: int) -> tuple[IdArray, FloatArray]:
        """The ids of the `n` greatest logits, and all logits (V), in descending order; ties by id."""
        ranked_V = np.sort(self.logits_V)[::-1]
        enough = ranked_V[min(n, ranked_V.size) - 1]
        ids_N = (self.logits_V >= enough).nonzero()[0]
        return ids_N[np.argsort(-self.logits_V[ids_N], kind="stable")][:n], ranked_V

    def n_kept(self) -> int:
        """The number of tokens that the cut keeps."""
        return _cut_of(self.ranked(1)[1], self.sampling).n_kept

    def top(self, n: int | None = None) -> tuple[Alternative, ...]:
        """The `n` most probable tokens (or as many as `sampling.alternatives`), best first."""
        n = self.sampling.alternatives if n is None else n
        if n == 0:
            return ()
        ids_N, ranked_V = self.ranked(n)
        n = ids_N.size
        raw_V = ranked_weights(ranked_V, 1.0)
        cut_V = ranked_weights(ranked_V, self.sampling.temperature)
        kept = cut(cut_V.cumsum(), self.sampling)
        p_N = raw_V[:n] / raw_V.sum()
        ranked = zip(ids_N.tolist(), p_N.tolist(), cut_V[:n].tolist(), strict=True)
        return tuple(
            Alternative(i, self.vocabulary[i], p, kept.probability(rank, weight))
            for rank, (i, p, weight) in enumerate(ranked)
        )


class SampledToken(msgspec.Struct, frozen=True):
    """A token of a text, and its statistics.

    `p` is its probability before top-k and top-p, `p_cut` after; `rank` is 1 for the most probable;
    `surprise_bits` is -log2(p); `entropy_bits` is that of the whole `distribution`, before top-k and top-p.
    """

    id: int
    bytes: bytes
    p: float
    p_cut: float
    rank: int
    surprise_bits: float
    entropy_bits: float
    distribution: Distribution

    @property
    def top(self) -> tuple[Alternative, ...]:
        """The most probable tokens at its position, best first."""
        return self.distribution.top()


def describe(
    logits_NV: FloatArray,
    ids: Sequence[int],
    cut_probabilities: Sequence[float] | None,
    sampling: Sampling,
    vocabulary: Sequence[bytes],
) -> list[SampledToken]:
    """Tokens with their statistics, from the logits at their positions; many at once cost little.

    `cut_probabilities` are those of drawn tokens (see `choose`), None for tokens that were not drawn.
    """
    x_NV = np.subtract(logits_NV, logits_NV.max(axis=1, keepdims=True), dtype=np.float64)
    picked_N = x_NV[np.arange(len(ids)), ids]
    ranks_N = np.count_nonzero(x_NV > picked_N[:, None], axis=1) + 1
    exp_NV = np.exp(x_NV)
    sums_N = exp_NV.sum(axis=1)
    nats_N = np.log(sums_N)
    entropies_N = np.maximum(nats_N - np.einsum("nv,nv->n", exp_NV, x_NV) / sums_N, 0) / LN_2
    surprises_N = (nats_N - picked_N) / LN_2
    p_N = np.exp(picked_N) / sums_N
    if cut_probabilities is None:
        cut_probabilities = _cut_probabilities(logits_NV, ids, sampling)
    columns = (ranks_N, surprises_N, entropies_N)
    rows = zip(
        ids, p_N.tolist(), cut_probabilities, *(column.tolist() for column in columns), logits_NV, strict=True
    )
    return [
        SampledToken(
            i, vocabulary[i], p, p_cut, rank, surprise, entropy, Distribution(at, sampling, vocabulary)
        )
        for i, p, p_cut, rank, surprise, entropy, at in rows
    ]


def _cut_probabilities(logits_NV: FloatArray, ids: Sequence[int], sampling: Sampling) -> list[float]:
    """The `p_cut` of tokens that were not drawn: 0 for those that the cut removes."""
    found = []
    for logits_V, token_id in zip(logits_NV, ids, strict=True):
        ranked_V = np.sort(logits_V)[::-1]
        weights_V = ranked_weights(ranked_V, sampling.temperature)
        kept = cut(weights_V.cumsum(), sampling)
        equal_before = np.count_nonzero(logits_V[:token_id] == logits_V[token_id])
        at_rank = int(np.count_nonzero(logits_V > logits_V[token_id]) + equal_before)
        found.append(kept.probability(at_rank, float(weights_V[at_rank])))
    return found


# Packed tokens: distributions in little memory. The most probable alternatives are kept exactly, the others
# summed in groups. A group ends at the token's own cut, so probabilities after this cut are exact, too; after
# another cut they are close.

N_KNOWN = 16
"""Alternatives whose probability is kept exactly: as many as a small terminal has rows for."""

_LEAST = 1e-250
"""The least probability that is stored, so that its logarithm is finite."""

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
"""A token and its distribution: 138 bytes, whatever the vocabulary."""


class PackedDistribution(Distribution):
    """A distribution whose `logits_V` are means (G): of the `best_K`, one by one, and of the groups after."""

    __slots__ = ("_best_K", "_counts_G", "_entropy_bits")

    def __init__(
        self, packed: np.void, counts_G: IdArray, sampling: Sampling, vocabulary: Sequence[bytes]
    ) -> None:
        super().__init__(packed["logits_G"][: counts_G.size], sampling, vocabulary)
        self._best_K: IdArray = packed["best_K"][: len(vocabulary)]
        self._counts_G, self._entropy_bits = counts_G, float(packed["entropy_bits"])

    def ranked(self, n: int) -> tuple[IdArray, FloatArray]:
        """As for a whole distribution, but with at most `N_KNOWN` ids.

        Within a group, log-probabilities are interpolated over the logarithm of the rank; its sum is exact.
        """
        counts_G, n_tokens = self._counts_G, int(self._counts_G.sum())
        starts_G = counts_G.cumsum() - counts_G
        middles_G = np.sqrt((starts_G + 1) * (starts_G + counts_G))
        even_V = np.interp(np.log(np.arange(1, n_tokens + 1)), np.log(middles_G), self.logits_V)
        sums_G = np.add.reduceat(np.exp(even_V - even_V[0]), starts_G)
        off_G = self.logits_V + np.log(counts_G) - (np.log(sums_G) + even_V[0])
        return self._best_K[:n], even_V + np.repeat(off_G, counts_G)

    def token(self, token_id: int) -> SampledToken:
        """The statistics of one of the known tokens at this position."""
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
        best_K, ranked_V = token.distribution.ranked(N_KNOWN)
        kept = _cut_of(ranked_V, token.distribution.sampling)
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
    """The tokens, with packed distributions."""
    tokens = []
    for packed in packed_N:
        _, counts_G = _groups(len(vocabulary), int(packed["n_kept"]))
        at = PackedDistribution(packed, counts_G, sampling, vocabulary)
        i, rank, _, p_cut, surprise, entropy, *_ = packed.item()
        token = SampledToken(i, vocabulary[i], 2.0**-surprise, p_cut, rank, surprise, entropy, at)
        tokens.append(token)
    return tokens


def _groups(n_tokens: int, n_kept: int) -> tuple[IdArray, IdArray]:
    """The starts and sizes of the groups of ranked tokens."""
    # The last token that the cut keeps is a group of its own, so that the cut is the same after unpacking.
    starts = {start for start in (*_GROUPS, n_kept - 1, n_kept) if start < n_tokens}
    starts_G = np.array(sorted(starts), np.int32)
    return starts_G, np.diff(starts_G, append=np.int32(n_tokens))
