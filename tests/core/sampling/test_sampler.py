"""Sampling: same seed, same text; cuts cut what they should; the numbers are what they claim."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch_reference import recipe

from femtotui.core.config import AttentionConfig, ModelConfig, TokenizerConfig
from femtotui.core.errors import ConfigError, ModelError, TokenizerError
from femtotui.core.model.gpt import Model
from femtotui.core.model.parameters import Tensors
from femtotui.core.model.workspace import Pool, Workspace
from femtotui.core.sampling.distribution import Distribution, choose, describe
from femtotui.core.sampling.sampler import JOURNAL_SAMPLING, Sampler, Sampling, window_start
from femtotui.core.tokenizers import build_tokenizer

CONTEXT = 8


def softmax(logits):
    exp = np.exp(logits - logits.max())
    return exp / exp.sum()


ALL_ATTENTION = AttentionConfig(rotary_share=0.5, rotary_base=20.0, shifted_keys=0.75, value_residual=0.3)
RECIPES = {
    "journal": recipe("journal"),
    "prenorm": recipe("prenorm"),
    "all attention": recipe("prenorm", attention=ALL_ATTENTION),
}


@pytest.fixture(scope="module", params=RECIPES)
def made(request):
    """A sampler over random parameters, large enough that the distributions are far from uniform."""
    its_recipe = RECIPES[request.param]
    tokenizer = build_tokenizer(TokenizerConfig(kind="char"), b"abcdef\n")
    config = ModelConfig(n_layers=2, width=12, n_heads=3, context=CONTEXT, vocab_size=tokenizer.vocab_size)
    flat = np.random.default_rng(4).normal(size=config.n_parameters)
    return Sampler(config, its_recipe, flat, tokenizer), config, its_recipe, flat


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others(made):
    sampler = made[0]
    first, again = (list(sampler.generate(b"ab", 40, Sampling(seed=3))) for _ in range(2))
    other = list(sampler.generate(b"ab", 40, Sampling(seed=4)))
    assert first == again
    assert [t.id for t in first] != [t.id for t in other]


def test_parameters_that_change_afterwards_change_nothing(made):
    sampler, config, its_recipe, flat = made
    training = flat.copy()
    other = Sampler(config, its_recipe, training, sampler.tokenizer)
    training[:] = 0
    draw = Sampling(seed=3)
    assert list(other.generate(b"ab", 20, draw)) == list(sampler.generate(b"ab", 20, draw))


def logits_of(made, window):
    """What the reference forward says after `window`, in a workspace of just its length."""
    _, config, its_recipe, flat = made
    short = msgspec.structs.replace(config, context=len(window))
    ws = Workspace(short, its_recipe, 1, Pool(flat.dtype), training=False)
    with np.errstate(all="ignore"):
        return Model(short, its_recipe, flat).forward(np.array(window, np.int32), ws)[-1].copy()


def test_what_a_token_says_of_itself_is_what_the_model_says(made):
    """Also past the context, where the last half of it is read afresh."""
    sampler = made[0]
    window = sampler.encode(b"abc")
    for token in sampler.generate(b"abc", 30, Sampling(seed=1, alternatives=3)):
        logits = logits_of(made, window)
        p = softmax(logits)
        np.testing.assert_allclose(token.distribution.logits_V, logits, atol=1e-9)
        assert token.p == pytest.approx(p[token.id], rel=1e-7)
        assert token.rank == 1 + int((p > p[token.id]).sum())
        assert token.surprise_bits == pytest.approx(-math.log2(p[token.id]), rel=1e-7)
        assert token.entropy_bits == pytest.approx(-float((p * np.log2(p)).sum()), rel=1e-7)
        assert [a.id for a in token.top] == [int(i) for i in np.argsort(-p, kind="stable")[:3]]
        assert token.bytes == sampler.tokenizer.decode([token.id])
        window.append(token.id)
        if len(window) > CONTEXT:
            window = window[-(CONTEXT // 2) :]


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("n_prompt", [1, 5, 64, 90])
def test_cached_equals_uncached_in_float32_at_entry_2s_size(name, n_prompt):
    """For 150 tokens, well past the context of 64, to 1e-5."""
    config = ModelConfig(n_layers=4, width=64, n_heads=4, context=64, vocab_size=256)
    its_recipe = RECIPES[name]
    flat = np.random.default_rng(1).normal(0, 0.08, config.n_parameters).astype(np.float32)
    sampler = Sampler(config, its_recipe, flat, build_tokenizer(TokenizerConfig(), b""))
    prompt = bytes(range(n_prompt))
    made = (sampler, config, its_recipe, flat)
    ids = sampler.encode(prompt)
    for token in sampler.generate(prompt, 150, Sampling(seed=2)):
        window = ids[window_start(len(ids), n_prompt, 64) :]
        assert abs(token.distribution.logits_V - logits_of(made, window)).max() < 1e-5
        ids.append(token.id)


@given(st.integers(1, 40), st.integers(0, 200), st.integers(1, 20))
def test_the_window_is_the_one_that_walking_token_by_token_gives(n_prompt, n_more, context):
    size, start = n_prompt, max(0, n_prompt - context)
    for _ in range(n_more):
        size += 1
        if size - start > context:
            start = size - max(1, context // 2)
    assert start == window_start(size, n_prompt, context)


def test_scores_too_large_to_exponentiate_are_done_again_with_care(made):
    """Queries and keys so long that exp(q @ k) overflows in float32."""
    _, config, its_recipe, flat = made
    wild = flat.astype(np.float32)
    Tensors.of(wild, config).layers[0].qkv_D3D[:, : 2 * config.width] *= 200
    sampler = Sampler(config, its_recipe, wild, made[0].tokenizer)
    precise = (None, config, its_recipe, wild.astype(np.float64))
    window = sampler.encode(b"ab")
    for token in sampler.generate(b"ab", CONTEXT - 2, Sampling(seed=1)):
        np.testing.assert_allclose(
            token.distribution.logits_V, logits_of(precise, window), rtol=0.02, atol=0.05
        )
        window.append(token.id)


def test_scores_too_small_to_exponentiate_are_done_again_with_care(made):
    """All scores of a head lie near -97, where exponentials are subnormal in float32: few bits are left."""
    _, config, its_recipe, flat = made
    wild = flat.astype(np.float32)
    layer = Tensors.of(wild, config).layers[0]
    d = config.width
    layer.gain1_D[:] *= 0.05
    layer.bias1_D[:] = 1
    layer.qkv_D3D[:, d : 2 * d] = -layer.qkv_D3D[:, :d]
    scores_H = np.square(layer.qkv_D3D[:, :d].sum(0).reshape(config.n_heads, -1)).sum(1)
    scale_H = np.sqrt(97 * math.sqrt(config.head_size) / scores_H)
    layer.qkv_D3D[:, : 2 * d] *= np.tile(np.repeat(scale_H, config.head_size), 2).astype(np.float32)
    sampler = Sampler(config, its_recipe, wild, made[0].tokenizer)
    precise = (None, config, its_recipe, wild.astype(np.float64))
    window = sampler.encode(b"ab")
    for token in sampler.generate(b"ab", CONTEXT - 2, Sampling(seed=1)):
        np.testing.assert_allclose(token.distribution.logits_V, logits_of(precise, window), atol=1e-3)
        window.append(token.id)


def test_siblings_write_at_the_same_time_without_disturbing_each_other(made):
    one, other = made[0].sibling(), made[0].sibling()
    alone = [t.id for t in made[0].generate(b"ab", 30, Sampling(seed=3))]
    pairs = zip(
        one.generate(b"ab", 30, Sampling(seed=3)), other.generate(b"fe", 30, Sampling(seed=5)), strict=True
    )
    assert [first.id for first, _ in pairs] == alone


def test_a_model_that_has_diverged_says_so(made):
    _, config, its_recipe, flat = made
    broken = flat.copy()
    broken[-1] = np.nan
    with pytest.raises(ModelError, match="diverged"):
        list(Sampler(config, its_recipe, broken, made[0].tokenizer).generate(b"a", 3, Sampling()))


def test_going_on_after_tokens_is_the_same_as_having_generated_them(made):
    """The model's thoughts on the tokens after a branch do not depend on how it came there."""
    sampler = made[0]
    whole = list(sampler.generate(b"ab", 40, Sampling(seed=3, temperature=0)))
    for kept in (1, 7, 20):
        after = [token.id for token in whole[:kept]]
        again = list(
            sampler.continue_from(sampler.encode(b"ab"), after, 40 - kept, Sampling(seed=9, temperature=0))
        )
        assert [t.id for t in again] == [t.id for t in whole[kept:]]
        assert [t.p for t in again] == pytest.approx([t.p for t in whole[kept:]], rel=1e-7)


@pytest.mark.parametrize("prompt", [b"ab", b"abcdef" * 3])
def test_scoring_a_text_gives_what_generating_it_gave(made, prompt):
    sampler, sampling = made[0], Sampling(seed=3, temperature=0.7, top_p=0.9)
    generated = list(sampler.generate(prompt, 45, sampling))
    text = b"".join(token.bytes for token in generated)
    scored = list(sampler.score(prompt, text, sampling))
    assert [t.bytes for t in scored] == [t.bytes for t in generated]
    for name in ("p", "p_cut", "rank", "surprise_bits", "entropy_bits"):
        assert [getattr(t, name) for t in scored] == pytest.approx([getattr(t, name) for t in generated])
    with pytest.raises(ConfigError, match="no text"):
        sampler.score(prompt, b"", sampling)


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


def test_the_journals_sampler_draws_as_femtogpt_does():
    """A number below 0.5, and the token at which the cumulative probability, best first, passes it."""
    p = [0.15, 0.45, 0.4]
    logits = np.log(p)
    counts = np.zeros(3)
    for u in (np.arange(1000) + 0.5) / 1000:
        below, passed = 0.5 * u, 0.0
        for i in sorted(range(3), key=lambda i: -p[i]):
            passed += p[i]
            if passed > below:
                break
        choice = choose(logits, JOURNAL_SAMPLING, u)
        assert choice.id == i
        counts[i] += 1
    np.testing.assert_allclose(counts / 1000, [0, 0.9, 0.1])
    np.testing.assert_allclose(cut_of(p, top_p=0.5, trims=True), [0, 0.9, 0.1])
    np.testing.assert_allclose(cut_of(p, top_p=0.5), [0, 0.45 / 0.85, 0.4 / 0.85])


def cut_of(p, **settings):
    """The probabilities after cutting, by id."""
    place = Distribution(np.log(p), Sampling(**settings), [b""] * len(p))
    by_id = {a.id: a.p_cut for a in place.top(len(p))}
    return [by_id[i] for i in range(len(p))]


def test_cuts_keep_the_best_and_sum_to_one():
    p = [0.4, 0.1, 0.3, 0.2]
    np.testing.assert_allclose(cut_of(p, top_k=2), [4 / 7, 0, 3 / 7, 0])
    np.testing.assert_allclose(cut_of(p, top_p=0.71), [4 / 9, 0, 3 / 9, 2 / 9])
    np.testing.assert_allclose(cut_of(p, top_p=1e-9), [1, 0, 0, 0])
    np.testing.assert_allclose(cut_of(p, temperature=0), [1, 0, 0, 0])
    np.testing.assert_allclose(cut_of(p, temperature=0.5), np.array([16, 1, 9, 4]) / 30)
    np.testing.assert_allclose(cut_of([0.25] * 4, top_k=3), [1 / 3, 1 / 3, 1 / 3, 0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [1e-300, 1e-5, 100.0])
def test_extreme_temperatures_draw_without_a_warning(temperature):
    choice = choose(np.array([1, 2, 80], np.float32), Sampling(temperature=temperature), 0.5)
    assert choice.id == 2 and 0 < choice.p_cut <= 1


@given(
    st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 3.0]), min_size=2, max_size=9),
    st.floats(0, 1, exclude_max=True),
    st.builds(
        Sampling,
        temperature=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
        top_k=st.integers(0, 6),
        top_p=st.sampled_from([0.2, 0.5, 0.9, 1.0]),
        trims=st.booleans(),
    ),
)
def test_what_is_drawn_is_never_what_was_cut(logits, uniform, sampling):
    """Equal probabilities included; and a drawn token's `p_cut` is what its place says."""
    logits = np.array(logits, np.float32)
    choice = choose(logits, sampling, uniform)
    vocabulary = [b"x"] * logits.size
    place = Distribution(logits, sampling, vocabulary)
    kept = {a.id: a.p_cut for a in place.top(logits.size) if a.p_cut > 0}
    assert choice.id in kept and len(kept) == place.n_kept()
    assert math.fsum(kept.values()) == pytest.approx(1)
    for p_cut in ([choice.p_cut], None):
        (token,) = describe(logits[None], [choice.id], p_cut, sampling, vocabulary)
        assert token.p_cut == pytest.approx(kept[choice.id])


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
    with pytest.raises(ConfigError, match="tokens must be"):
        sampler.generate(b"a", 0, Sampling())
