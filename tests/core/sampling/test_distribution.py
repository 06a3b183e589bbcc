"""A token in outline says what its whole distribution says, as far as a panel shows it."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from femtotui.core.sampling.distribution import (
    JOURNAL_SAMPLING,
    N_KNOWN,
    Distribution,
    SampledToken,
    Sampling,
    choose,
    describe,
    pack,
    unpack,
)


def drawn(n_vocabulary: int, sharpness: float, sampling: Sampling = JOURNAL_SAMPLING) -> list[SampledToken]:
    rng = np.random.default_rng(n_vocabulary)
    # Rounded, so that some are equally probable.
    logits = np.round(sharpness * rng.normal(size=(12, n_vocabulary)), 1).astype(np.float32)
    vocabulary = [b"%d" % i for i in range(n_vocabulary)]
    choices = [choose(row, sampling, uniform) for row, uniform in zip(logits, rng.random(12), strict=True)]
    ids, cut_probabilities = zip(*choices, strict=True)
    return describe(logits, ids, cut_probabilities, sampling, vocabulary)


def outlined(tokens: list[SampledToken]) -> list[SampledToken]:
    place = tokens[0].distribution
    return unpack(pack(tokens), place.sampling, place.vocabulary)


def numbers(entries: tuple[msgspec.Struct, ...]) -> list[tuple[float, float]]:
    return [(entry.p, entry.p_cut) for entry in entries]


@pytest.mark.parametrize("n_vocabulary", [3, 65, 256, 8192, 65_536])
@pytest.mark.parametrize("sharpness", [0.0, 1.0, 4.0, 40.0])
def test_it_shows_what_the_whole_distribution_shows(n_vocabulary: int, sharpness: float) -> None:
    whole = drawn(n_vocabulary, sharpness)
    for token, kept in zip(whole, outlined(whole), strict=True):
        assert (kept.id, kept.bytes, kept.rank) == (token.id, token.bytes, token.rank)
        for name in ("p", "p_cut", "surprise_bits", "entropy_bits"):
            assert getattr(kept, name) == pytest.approx(getattr(token, name), rel=2e-5, abs=1e-6)
        shown, expected = kept.distribution.top(60), token.distribution.top(min(N_KNOWN, n_vocabulary))
        assert [entry.id for entry in shown] == [entry.id for entry in expected]
        np.testing.assert_allclose(numbers(shown), numbers(expected), rtol=2e-4, atol=1e-6)
        other, same = kept.distribution.token(expected[-1].id), token.distribution.token(expected[-1].id)
        assert (other.rank, other.bytes) == (same.rank, same.bytes)
        np.testing.assert_allclose(other.entropy_bits, same.entropy_bits, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_vocabulary", [256, 8192])
@pytest.mark.parametrize(
    "changes",
    [{"temperature": 0.5}, {"temperature": 2.0}, {"temperature": 0.0}, {"top_k": 40}, {"top_p": 0.9}],
)
def test_another_cut_moves_its_bars_as_it_moves_those_of_the_whole(
    n_vocabulary: int, changes: dict[str, float]
) -> None:
    whole = drawn(n_vocabulary, 3.0)
    sampling = replace(Sampling(), **changes)
    for token, kept in zip(whole, outlined(whole), strict=True):
        shown = kept.distribution.with_sampling(sampling).top(N_KNOWN)
        expected = token.distribution.with_sampling(sampling).top(N_KNOWN)
        np.testing.assert_allclose(numbers(shown), numbers(expected), rtol=0.15, atol=1e-4)


def test_equal_places_are_told_from_others() -> None:
    place = drawn(256, 1.0)[0].distribution
    assert place == Distribution(place.logits_V.copy(), JOURNAL_SAMPLING, place.vocabulary)
    assert (
        place.with_sampling(Sampling()) != place
        and place.with_sampling(Sampling()).with_sampling(JOURNAL_SAMPLING) == place
    )
