"""Sampling: same seed, same text; cuts cut what they should; the numbers are what they claim."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import recipe

from femtotui.core.config import ModelConfig, TokenizerConfig
from femtotui.core.errors import ConfigError, TokenizerError
from femtotui.core.model import Model
from femtotui.core.sample import JOURNAL_SAMPLING, Sampler, Sampling, cut, softmax
from femtotui.core.tokenizer import build_tokenizer
from femtotui.core.workspace import Pool, Workspace

CONTEXT = 8


@pytest.fixture(scope="module", params=["journal", "prenorm"])
def made(request):
    """A sampler over random parameters, large enough that the distributions are far from uniform."""
    tokenizer = build_tokenizer(TokenizerConfig(kind="char"), b"abcdef\n")
    config = ModelConfig(n_layers=2, width=12, n_heads=3, context=CONTEXT, vocab_size=tokenizer.vocab_size)
    flat = np.random.default_rng(4).normal(size=config.n_parameters)
    return Sampler(config, recipe(request.param), flat, tokenizer), config, recipe(request.param), flat


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others(made):
    sampler = made[0]
    first, again = (list(sampler.generate(b"ab", 40, Sampling(seed=3))) for _ in range(2))
    other = list(sampler.generate(b"ab", 40, Sampling(seed=4)))
    assert first == again
    assert [t.id for t in first] != [t.id for t in other]


def test_what_a_token_says_of_itself_is_what_the_model_says(made):
    """Also past the context, where the last half of it is read afresh."""
    sampler, config, its_recipe, flat = made
    model = Model(config, its_recipe, flat)
    ids = [int(i) for i in sampler.tokenizer.encode(b"abc")]
    window = list(ids)
    for token in sampler.generate(b"abc", 30, Sampling(seed=1, alternatives=3)):
        ws = Workspace(
            ModelConfig(**{**_fields(config), "context": len(window)}),
            its_recipe.wiring,
            1,
            Pool(flat.dtype),
            training=False,
        )
        short = Model(ModelConfig(**{**_fields(config), "context": len(window)}), its_recipe, flat)
        logits = short.forward(np.array(window, np.int32), ws)[-1]
        p = softmax(logits)
        assert token.p == pytest.approx(p[token.id], rel=1e-7)
        assert token.rank == 1 + int((p > p[token.id]).sum())
        assert token.surprise_bits == pytest.approx(-math.log2(p[token.id]), rel=1e-7)
        assert token.entropy_bits == pytest.approx(-float((p * np.log2(p)).sum()), rel=1e-7)
        assert [a.id for a in token.top] == [int(i) for i in np.argsort(-p, kind="stable")[:3]]
        assert token.bytes == sampler.tokenizer.token_bytes(token.id)
        window.append(token.id)
        if len(window) > CONTEXT:
            window = window[-(CONTEXT // 2) :]
    assert model.config.context == CONTEXT


def _fields(config):
    return {name: getattr(config, name) for name in config.__struct_fields__}


def test_tokens_come_as_often_as_they_should():
    """A model whose head ignores its input: the distribution is the bias, and 4,000 draws follow it."""
    tokenizer = build_tokenizer(TokenizerConfig(kind="char"), b"abcd")
    config = ModelConfig(n_layers=1, width=4, n_heads=1, context=16, vocab_size=4)
    flat = np.zeros(config.n_parameters)
    p = np.array([0.5, 0.3, 0.15, 0.05])
    flat[-4:] = np.log(p)
    sampler = Sampler(config, recipe("prenorm"), flat, tokenizer)
    counts = np.bincount([t.id for t in sampler.generate(b"a", 4000, Sampling(seed=0))], minlength=4)
    chi_square = float(((counts - 4000 * p) ** 2 / (4000 * p)).sum())
    assert chi_square < 16.3  # one in a thousand, with three degrees of freedom
    cut_tokens = list(sampler.generate(b"a", 500, Sampling(seed=0, top_p=0.6)))
    assert {t.id for t in cut_tokens} == {0, 1}
    assert {round(t.p_cut, 6) for t in cut_tokens} == {0.625, 0.375}
    assert {t.id for t in sampler.generate(b"a", 200, Sampling(temperature=0))} == {0}
    assert {t.id for t in sampler.generate(b"a", 200, JOURNAL_SAMPLING)} == {0}


def test_cuts_keep_the_best_and_sum_to_one():
    logits = np.log([0.4, 0.1, 0.3, 0.2])
    order = np.argsort(-logits)
    np.testing.assert_allclose(cut(logits, order, Sampling(top_k=2)), [4 / 7, 0, 3 / 7, 0])
    np.testing.assert_allclose(cut(logits, order, Sampling(top_p=0.71)), [4 / 9, 0, 3 / 9, 2 / 9])
    np.testing.assert_allclose(cut(logits, order, Sampling(top_p=1e-9)), [1, 0, 0, 0])
    np.testing.assert_allclose(cut(logits, order, Sampling(temperature=0)), [1, 0, 0, 0])
    hot = cut(logits, order, Sampling(temperature=0.5))
    np.testing.assert_allclose(hot, np.array([16, 1, 9, 4]) / 30)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"top_k": -1}, "top-k"),
        ({"top_p": 0.0}, "top-p"),
        ({"top_p": 1.5}, "top-p"),
        ({"seed": -1}, "seed"),
        ({"alternatives": -1}, "alternatives"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(wrong, said):
    with pytest.raises(ConfigError, match=said):
        Sampling(**wrong)


def test_prompts_empty_long_and_impossible(made):
    sampler = made[0]
    assert list(sampler.generate(b"", 3, Sampling())) == list(sampler.generate(b"\n", 3, Sampling()))
    long = list(sampler.generate(b"abcdef" * 20, 3, Sampling(seed=2)))
    assert long == list(sampler.generate((b"abcdef" * 20)[-CONTEXT:], 3, Sampling(seed=2)))
    with pytest.raises(TokenizerError, match="Z"):
        sampler.generate(b"aZ", 3, Sampling())
    with pytest.raises(ConfigError, match="number of tokens"):
        sampler.generate(b"a", 0, Sampling())
