"""A film takes little room, whatever the vocabulary, and its frames show what the samples showed."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import islice

import msgspec
import numpy as np
import pytest

from femtotui.core.sampling.distribution import (
    JOURNAL_SAMPLING,
    TOKEN,
    Distribution,
    SampledToken,
    choose,
    describe,
)
from femtotui.sampling.stream import SAMPLE_TOKENS
from femtotui.sampling.timelapse import MAX_FRAMES, SampleSetup, Timelapse

MIB = 2**20
SETUP = SampleSetup("run", b"\n", JOURNAL_SAMPLING)


def samples(n_vocabulary: int, n_tokens: int = SAMPLE_TOKENS) -> Iterator[list[SampledToken]]:
    """A stream of samples, each with logits and a list of the vocabulary that are its own, as a run's are."""
    rng = np.random.default_rng(0)
    recorded_NV = rng.normal(0, 3, (n_tokens, n_vocabulary)).astype(np.float32)
    vocabulary = [b"%d." % i for i in range(n_vocabulary)]
    choices = [choose(row, JOURNAL_SAMPLING, rng.random()) for row in recorded_NV]
    ids, cut_probabilities = zip(*choices, strict=True)
    tokens = describe(recorded_NV, ids, cut_probabilities, JOURNAL_SAMPLING, vocabulary)
    while True:
        logits_NV, own = recorded_NV.copy(), list(vocabulary)
        yield [
            msgspec.structs.replace(token, distribution=Distribution(logits_V, JOURNAL_SAMPLING, own))
            for token, logits_V in zip(tokens, logits_NV, strict=True)
        ]


@pytest.mark.parametrize("n_vocabulary", [256, 8192])
def test_a_film_stays_within_ten_mib(n_vocabulary: int) -> None:
    """With a quarter of the tokens, for the time it takes, it stays within a quarter of that."""
    n_tokens = SAMPLE_TOKENS // 4
    timelapse, film, most = Timelapse(), samples(n_vocabulary, n_tokens), 0
    live = next(film)  # there is always one on the screen, with all its logits
    tracemalloc.start()
    try:
        for step, tokens in enumerate(islice(film, 1000)):
            live = tokens
            timelapse.record(SETUP, step, live)
            most = max(most, tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    two_live = 2 * n_tokens * n_vocabulary * 4  # the generator has the one before, too
    assert most - two_live < 10 * MIB / 4
    assert MAX_FRAMES * SAMPLE_TOKENS * TOKEN.itemsize < 9 * MIB and len(timelapse.frames) > MAX_FRAMES / 2


@pytest.mark.parametrize("n_vocabulary", [256, 8192])
def test_a_frame_shows_what_the_sample_showed(n_vocabulary: int) -> None:
    timelapse, sample = Timelapse(), next(samples(n_vocabulary))
    timelapse.record(SETUP, 1, sample)
    for kept, token in zip(timelapse.text(timelapse.frames[0]).tokens, sample, strict=True):
        assert (kept.id, kept.bytes, kept.rank) == (token.id, token.bytes, token.rank)
        figures = [(each.p, each.p_cut, each.surprise_bits, each.entropy_bits) for each in (kept, token)]
        np.testing.assert_allclose(*figures, rtol=1e-5)
        assert [entry.bytes for entry in kept.top] == [entry.bytes for entry in token.top]
        rows = [[(entry.p, entry.p_cut) for entry in each.top] for each in (kept, token)]
        np.testing.assert_allclose(*rows, rtol=2e-4)
