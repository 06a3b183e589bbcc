"""What counting pairs and triples of tokens achieves, on the very tokens that a model is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..baselines import MOST_TRAIN_TOKENS, look_up, unigram_probabilities

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class NgramLosses:
    """Losses in nats a token."""

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
