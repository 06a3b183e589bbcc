"""What a loss means: the losses of readers who know nothing, letters or pairs of letters of a text.

Sparse throughout: no table of vocabulary times vocabulary is ever made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..events import Baselines

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
    Units: nats per token.
    Source: Witten and Bell, "The zero-frequency problem", IEEE Transactions on Information Theory, 1991.
    """
    train = train_N[:MOST_TRAIN_TOKENS].astype(np.int64)
    validation = validation_N[:MOST_VALIDATION_TOKENS].astype(np.int64)
    single_V = unigram_probabilities(train, vocab_size)
    # Each different pair is looked up once, and counts as often as it occurs.
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


def unigram_probabilities(train: NDArray[np.int64], vocab_size: int) -> NDArray[np.float64]:
    """The probability of each token: Witten-Bell between its count and uniform."""
    counts_V = np.bincount(train, minlength=vocab_size)
    kinds = np.count_nonzero(counts_V)
    return (counts_V + kinds / vocab_size) / (len(train) + kinds)


def look_up(
    wanted: NDArray[np.int64], known: NDArray[np.int64], values: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The value of each wanted key among the known ones (ascending), 0 where there is none."""
    if not len(known):
        return np.zeros(len(wanted), np.int64)
    places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[places] == wanted, values[places], 0)


Ids = NDArray[np.int64]


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
    """Counts the training text, and predicts every target of the validation windows.

    A reader of n tokens backs off to the one of n - 1 as Witten and Bell have it (see baselines.py), so that
    nothing has probability 0. Like the model, none sees further back than its window begins: the first
    target of a window has one token before it, and the reader of three then does as the one of two.
    """
    train = train_N[:MOST_TRAIN_TOKENS].astype(np.int64)
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
    return float(-np.log(p_WT).mean())


def _after(
    train_contexts: Ids,
    train_nexts: Ids,
    contexts: Ids,
    nexts: Ids,
    p_simpler: NDArray[np.float64],
    vocab_size: int,
) -> NDArray[np.float64]:
    """The probability of each of `nexts` after its context (a number), mixed with the simpler reader's.

    A context with n tokens of d kinds gives d / (n + d) of its probability to the simpler reader.
    """
    known, times = np.unique(train_contexts, return_counts=True)
    pairs, pair_times = np.unique(train_contexts * vocab_size + train_nexts, return_counts=True)
    kinds = np.bincount(np.searchsorted(known, pairs // vocab_size), minlength=len(known))
    n, d = look_up(contexts, known, times), look_up(contexts, known, kinds)
    count = look_up(contexts * vocab_size + nexts, pairs, pair_times)
    mixed: NDArray[np.float64] = np.where(n > 0, (count + d * p_simpler) / np.maximum(n + d, 1), p_simpler)
    return mixed
