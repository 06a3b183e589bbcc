"""Reference losses: uniform guessing, and unigram, bigram and trigram models of the training text.

Sparse throughout: no table of vocabulary times vocabulary is allocated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..events import Baselines

MAX_TRAIN_TOKENS = 2**20
MAX_VALIDATION_TOKENS = 2**17
"""Counting more makes no visible difference on a chart."""

Ids = NDArray[np.int64]


def measure_baselines(
    train_N: NDArray[np.int32], validation_N: NDArray[np.int32], vocab_size: int, floor: float | None
) -> Baselines:
    """Losses on the validation text (at least two tokens) of models that count the training text.

    They predict all tokens but the first. With Witten-Bell smoothing, a context followed by n tokens of d
    kinds gives d / (n + d) of its probability to the simpler model: bigram to unigram to uniform.

    Units: nats per token.
    Source: Witten and Bell, "The zero-frequency problem", IEEE Transactions on Information Theory, 1991.
    """
    train = train_N[:MAX_TRAIN_TOKENS].astype(np.int64)
    validation = validation_N[:MAX_VALIDATION_TOKENS].astype(np.int64)
    single_V = unigram_probabilities(train, vocab_size)
    # Each different pair is evaluated once, weighted by its count.
    pairs, weights = np.unique(validation[:-1] * vocab_size + validation[1:], return_counts=True)
    p_single = single_V[pairs % vocab_size]
    first, second = pairs // vocab_size, pairs % vocab_size
    p_pair = _after(train[:-1], train[1:], first, second, p_single, vocab_size)
    return Baselines(
        uniform=math.log(vocab_size),
        unigram=float(-np.average(np.log(p_single), weights=weights)),
        bigram=float(-np.average(np.log(p_pair), weights=weights)),
        floor=floor,
    )


def unigram_probabilities(train: Ids, vocab_size: int) -> NDArray[np.float64]:
    """The probability of each token: Witten-Bell between its count and uniform."""
    counts_V = np.bincount(train, minlength=vocab_size)
    kinds = np.count_nonzero(counts_V)
    return (counts_V + kinds / vocab_size) / (len(train) + kinds)


def _look_up(wanted: Ids, known: Ids, values: Ids) -> Ids:
    """The value of each wanted key, 0 for those not in `known` (ascending)."""
    if not len(known):
        return np.zeros(len(wanted), np.int64)
    places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[places] == wanted, values[places], 0)


@dataclass(frozen=True)
class NgramLosses:
    """Losses in nats per token."""

    unigram: float
    bigram: float
    trigram: float


def ngram_losses(
    train_N: NDArray[np.int32],
    inputs_WT: NDArray[np.int32],
    targets_WT: NDArray[np.int32],
    vocab_size: int,
) -> NgramLosses:
    """Losses on every target of the validation windows, smoothed as in `measure_baselines`.

    Like the GPT, the models do not look back beyond the window: for its first target the trigram model uses
    the bigram's probability.
    """
    train = train_N[:MAX_TRAIN_TOKENS].astype(np.int64)
    first_WT, target_WT = inputs_WT.astype(np.int64), targets_WT.astype(np.int64)
    p_unigram_WT = unigram_probabilities(train, vocab_size)[target_WT]
    p_bigram_WT = _after(train[:-1], train[1:], first_WT, target_WT, p_unigram_WT, vocab_size)
    p_trigram_WT = p_bigram_WT.copy()
    p_trigram_WT[:, 1:] = _after(
        train[:-2] * vocab_size + train[1:-1],
        train[2:],
        first_WT[:, :-1] * vocab_size + first_WT[:, 1:],
        target_WT[:, 1:],
        p_bigram_WT[:, 1:],
        vocab_size,
    )
    return NgramLosses(_loss(p_unigram_WT), _loss(p_bigram_WT), _loss(p_trigram_WT))


def _loss(p_WT: NDArray[np.float64]) -> float:
    return max(0.0, float(-np.log(p_WT).mean()))  # -0.0 where nothing else is possible


def _after(
    train_contexts: Ids,
    train_nexts: Ids,
    contexts: Ids,
    nexts: Ids,
    p_simpler: NDArray[np.float64],
    vocab_size: int,
) -> NDArray[np.float64]:
    """The probability of each of `nexts` after its context (a number), smoothed with the simpler model's."""
    known, times = np.unique(train_contexts, return_counts=True)
    pairs, pair_times = np.unique(train_contexts * vocab_size + train_nexts, return_counts=True)
    kinds = np.bincount(np.searchsorted(known, pairs // vocab_size), minlength=len(known))
    n, d = _look_up(contexts, known, times), _look_up(contexts, known, kinds)
    count = _look_up(contexts * vocab_size + nexts, pairs, pair_times)
    mixed: NDArray[np.float64] = np.where(n > 0, (count + d * p_simpler) / np.maximum(n + d, 1), p_simpler)
    return mixed
