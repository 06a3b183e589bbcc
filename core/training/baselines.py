"""What a loss means: the losses of readers who know nothing, letters or pairs of letters of a text.

Sparse throughout: no table of vocabulary times vocabulary is ever made.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .events import Baselines

MOST_TRAIN_TOKENS = 2**20
MOST_VALIDATION_TOKENS = 2**17
"""Counting more changes nothing that could be seen on a chart."""


def measure_baselines(
    train_N: NDArray[np.int32], validation_N: NDArray[np.int32], vocab_size: int, floor: float | None
) -> Baselines:
    """Count one text, measure on another.

    Both predict the validation tokens but the first, by counts smoothed after Witten and Bell: a context
    with n tokens of d kinds gives d / (n + d) of its probability to the simpler reader, pairs to single
    tokens and single tokens to the uniform distribution. So nothing has probability 0.

    Shapes: (N,) each, at least two tokens of validation text.
    Units: nats a token.
    Source: Witten and Bell, "The zero-frequency problem", IEEE Transactions on Information Theory, 1991.
    """
    train = train_N[:MOST_TRAIN_TOKENS].astype(np.int64)
    validation = validation_N[:MOST_VALIDATION_TOKENS].astype(np.int64)
    single_V = unigram_probabilities(train, vocab_size)
    # Each different pair is looked up once, and counts as often as it occurs.
    pairs, weights = np.unique(validation[:-1] * vocab_size + validation[1:], return_counts=True)
    p_single = single_V[pairs % vocab_size]
    p_pair = _bigram(train, pairs, p_single, vocab_size)
    return Baselines(
        uniform=math.log(vocab_size),
        unigram=float(-np.average(np.log(p_single), weights=weights)),
        bigram=float(-np.average(np.log(p_pair), weights=weights)),
        floor=floor,
    )


def unigram_probabilities(train: NDArray[np.int64], vocab_size: int) -> NDArray[np.float64]:
    """The probability of each token: Witten-Bell between its count and uniform."""
    counts_V = np.bincount(train, minlength=vocab_size)
    kinds = np.count_nonzero(counts_V)
    return (counts_V + kinds / vocab_size) / (len(train) + kinds)


def _bigram(
    train: NDArray[np.int64],
    pairs: NDArray[np.int64],
    p_single: NDArray[np.float64],
    vocab_size: int,
) -> NDArray[np.float64]:
    """The probability of the second token of each pair after the first; `p_single` is that of the second.

    A pair of tokens u, v is the number u * V + v.
    """
    known, counts = np.unique(train[:-1] * vocab_size + train[1:], return_counts=True)
    times_V = np.bincount(train[:-1], minlength=vocab_size)
    kinds_V = np.bincount(known // vocab_size, minlength=vocab_size)
    times, kinds = times_V[pairs // vocab_size], kinds_V[pairs // vocab_size]
    pair_counts = look_up(pairs, known, counts)
    # A first token that never led to another says nothing about the second.
    return np.where(times > 0, (pair_counts + kinds * p_single) / np.maximum(times + kinds, 1), p_single)


def look_up(
    wanted: NDArray[np.int64], known: NDArray[np.int64], values: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The value of each wanted key among the known ones (ascending), 0 where there is none."""
    if not len(known):
        return np.zeros(len(wanted), np.int64)
    places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[places] == wanted, values[places], 0)
