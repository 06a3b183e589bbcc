"""Windows of a text: what the sampler read for a token, and what is kept of it."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from small_checkpoint import small_config

from femtotui.core.config import RunConfig
from femtotui.core.errors import ConfigError
from femtotui.core.sampling.sampler import SampledToken, Sampler, Sampling, window_start
from femtotui.core.tokenizers import ByteTokenizer, CharTokenizer
from femtotui.inspection.text_window import N_GUESSES, TokenSight, read_window

PROMPT = b"bacedi;\n"


def sized(config: RunConfig, **model: int) -> RunConfig:
    return msgspec.structs.replace(
        config, model=msgspec.structs.replace(config.model, vocab_size=256, **model)
    )


def sampler(seed: int = 1, **model: int) -> Sampler:
    config = sized(small_config(), **{"n_layers": 2, **model})
    flat = np.random.default_rng(seed).normal(0, 0.5, config.model.n_parameters).astype(np.float32)
    return Sampler(config.model, config.recipe, flat, ByteTokenizer())


def scored(reader: Sampler, text: bytes, prompt: bytes = PROMPT) -> list[SampledToken]:
    return list(reader.score(prompt, text, Sampling()))


@pytest.mark.parametrize("n_prompt", [1, 8, 16, 40])
def test_the_lens_ends_in_what_the_sampler_says_wherever_the_window_is(n_prompt: int) -> None:
    reader, prompt = sampler(), bytes(range(97, 97 + n_prompt))
    tokens = scored(reader, bytes(range(48, 48 + 45)), prompt)
    for at, token in enumerate(tokens):
        window = read_window(reader, prompt, tokens, at)
        sight = TokenSight(window, at)
        start = window_start(n_prompt + at, n_prompt, 16)
        assert (window.start, sight.n_seen) == (start, n_prompt + at - start)
        assert b"".join(sight.pieces) == (prompt + bytes(range(48, 48 + at)))[start:]
        assert (sight.chosen, sight.chosen_id) == (token.bytes, token.id)
        assert sight.guesses(2)[-1][2] == pytest.approx(token.p, rel=1e-3)
        assert sight.ranks()[-1] == token.rank
        best = [(guess_id, p) for guess_id, _, p in sight.guesses(2)[:-1]]
        top = token.distribution.top(N_GUESSES)
        assert [p for _, p in best] == pytest.approx([entry.p for entry in top], rel=1e-3)


def test_the_weights_are_those_of_the_model_and_cover_the_bytes_of_the_window() -> None:
    reader = sampler()
    tokens = scored(reader, b"hokuba;\ngifude;\nbacedi;\n")
    at = 20
    sight = TokenSight(read_window(reader, PROMPT, tokens, at), at)
    ids = [*PROMPT, *(token.id for token in tokens)]
    start = sight.window.start
    read = reader.inspect(np.array(ids[start : len(PROMPT) + at], np.int32))
    for layer in range(2):
        for head in range(2):
            weights = sight.weights(layer, head)
            np.testing.assert_allclose(weights, read.attention_LHTT[layer, head, -1], atol=1e-3)
        mean = (sight.weights(layer, 0) + sight.weights(layer, 1)) / 2
        np.testing.assert_allclose(sight.weights(layer, None), mean, atol=1e-6)
        assert sight.weights(layer, None).sum() == pytest.approx(1, abs=2e-3)
    by_byte = sight.byte_weights(1, 0)
    assert len(by_byte) == len(PROMPT) + at
    assert all(map(math.isnan, by_byte[:start])) and start > 0
    assert by_byte[start:] == pytest.approx(sight.weights(1, 0).tolist())


def test_a_window_holds_for_a_text_that_grows_and_for_the_beginning_of_a_branch() -> None:
    reader = sampler()
    tokens = scored(reader, b"hokuba;\ngifude;\n")
    window = read_window(reader, PROMPT, tokens[:6], 2)
    assert all(window.covers(PROMPT, tokens, at) for at in range(6))
    assert not window.covers(PROMPT, tokens, 6) and not window.covers(PROMPT, tokens[:3], 3)
    branch = [*tokens[:4], tokens[0], *tokens[5:]]
    assert [window.covers(PROMPT, branch, at) for at in range(3, 6)] == [True, False, False]
    assert not window.covers(PROMPT[1:], tokens, 2)
    later = read_window(reader, PROMPT, tokens, 12)
    assert later.first > 0 and later.covers(PROMPT, tokens, 12) and not later.covers(PROMPT, tokens, 2)
    assert TokenSight(later, 12).n_seen == len(PROMPT) + 12 - later.start


def test_a_model_of_another_tokenizer_does_not_read_the_text() -> None:
    tokens = scored(sampler(), b"hokuba")
    config = small_config("char")
    alphabet = CharTokenizer(";\nabcdefghijklmnopqrstuvwxyz")
    model = msgspec.structs.replace(config.model, vocab_size=alphabet.vocab_size)
    flat = np.zeros(model.n_parameters, np.float32)
    with pytest.raises(ConfigError, match="other tokens"):
        read_window(Sampler(model, config.recipe, flat, alphabet), PROMPT, tokens, 1)


def test_a_diverged_model_has_no_numbers_and_is_read_all_the_same() -> None:
    config = sized(small_config())
    flat = np.full(config.model.n_parameters, np.nan, np.float32)
    reader = Sampler(config.model, config.recipe, flat, ByteTokenizer())
    tokens = scored(sampler(), b"ab")
    sight = TokenSight(read_window(reader, PROMPT, tokens, 1), 1)
    assert np.isnan(sight.weights(0, None)).all() and math.isnan(sight.guesses(1)[0][2])


def test_a_window_of_entry_5_is_as_small_as_it_says() -> None:
    reader = sampler(n_layers=8, n_heads=8, width=64, context=64)
    tokens = scored(reader, bytes(64), b"\n")
    window = read_window(reader, b"\n", tokens, 0)
    assert window.attention_NLHT.shape == (64, 8, 8, 64) and window.n_bytes < 0.7 * 2**20
