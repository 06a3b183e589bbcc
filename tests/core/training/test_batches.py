"""Batches by step, validation windows, fresh blocks, and the baselines against sums done by hand."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_config import tiny_config

from femtotui.core.config import RunConfig, TokenizerConfig, TrainConfig
from femtotui.core.errors import DataError, TokenizerError
from femtotui.core.tokenizers import Tokenizer, build_tokenizer
from femtotui.core.training.baselines import measure_baselines
from femtotui.core.training.batches import Batches, Source
from femtotui.dummy_data import simple_dummy

BYTE = build_tokenizer(TokenizerConfig(), b"")


def config(
    *, context: int = 8, batch: int = 4, seed: int = 0, windows: int = 64, fresh: bool = False
) -> RunConfig:
    train = TrainConfig(steps=100, batch=batch, seed=seed, eval_windows=windows)
    return tiny_config(train, context=context, fresh_data=fresh)


def counting(n: int) -> bytes:
    """A text in which a byte says where it stands, up to 251."""
    return bytes(i % 251 for i in range(n))


def source(train: bytes, validation: bytes = counting(100), **more: object) -> Source:
    return Source(name="test", train=train, validation=validation, **more)  # type: ignore[arg-type]


def endless(block: int) -> bytes:
    return simple_dummy.generate(f"block {block}", 50).encode()


def fresh_batches(tokenizer: Tokenizer = BYTE, seed: int = 0) -> Batches:
    text = simple_dummy.generate(1, 200).encode()
    return Batches(source(text, text, fresh=endless), tokenizer, config(fresh=True, seed=seed))


def test_targets_are_the_inputs_one_token_on() -> None:
    inputs_BT, targets_BT = Batches(source(counting(200)), BYTE, config()).batch(0)
    assert inputs_BT.shape == targets_BT.shape == (4, 8)
    assert inputs_BT.dtype == targets_BT.dtype == np.int32
    assert inputs_BT.flags.c_contiguous
    assert targets_BT.flags.c_contiguous
    np.testing.assert_array_equal(inputs_BT[:, 1:], targets_BT[:, :-1])
    np.testing.assert_array_equal(targets_BT, (inputs_BT + 1) % 200)


def test_windows_start_everywhere_alike_and_wrap_round_at_the_end() -> None:
    batches = Batches(source(counting(20)), BYTE, config(batch=500))
    starts = Counter[int]()
    for step in range(8):
        inputs_BT, targets_BT = batches.batch(step)
        starts.update(inputs_BT[:, 0].tolist())
        np.testing.assert_array_equal(inputs_BT, (inputs_BT[:, :1] + np.arange(8)) % 20)
        np.testing.assert_array_equal(targets_BT, (inputs_BT + 1) % 20)
    assert set(starts) == set(range(20))
    statistic = sum((count - 200) ** 2 / 200 for count in starts.values())
    assert statistic < 19 + 5 * math.sqrt(2 * 19)


def test_a_batch_depends_on_seed_and_step_and_on_nothing_before() -> None:
    text = source(counting(251))
    in_order = Batches(text, BYTE, config(seed=5))
    first_to_last = [in_order.batch(step) for step in range(20)]
    jumping = Batches(text, BYTE, config(seed=5))
    for step in (19, 3, 3, 0, 11):
        np.testing.assert_array_equal(jumping.batch(step), first_to_last[step])
    other = Batches(text, BYTE, config(seed=6))
    assert any(not np.array_equal(other.batch(s), first_to_last[s]) for s in range(3))
    assert len({inputs.tobytes() for inputs, _ in first_to_last}) == 20


def test_random_numbers_of_neighbouring_steps_do_not_overlap() -> None:
    """As they would if the step were the low word of the counter: Philox counts on from there."""
    batches = Batches(source(bytes(range(251)) * 400), BYTE, config(batch=64))
    first, second = (batches.batch(step)[0] for step in (0, 1))
    rows = {row.tobytes() for row in first[4:]}
    assert sum(row.tobytes() in rows for row in second[:-4]) < 30


def test_a_recipe_says_how_many_epochs_a_block_of_fresh_lines_serves() -> None:
    asked = config(fresh=True)
    recipe = msgspec.structs.replace(asked.recipe, epochs_per_block=1)
    asked = msgspec.structs.replace(asked, recipe=recipe)
    once = Batches(source(endless(0), endless(9), fresh=endless), BYTE, asked)
    assert once.steps_per_block == max(1, round(len(endless(0)) / (4 * 8)))


def test_fresh_blocks_follow_each_other_and_serve_their_own_steps() -> None:
    batches = fresh_batches()
    n_tokens = len(endless(0))
    assert batches.steps_per_block == max(1, round(4 * n_tokens / (4 * 8)))
    for block in (0, 1, 2):
        text = endless(block) * 2
        for step in (block * batches.steps_per_block, (block + 1) * batches.steps_per_block - 1):
            inputs_BT, _ = batches.batch(step)
            assert all(bytes(row.tolist()) in text for row in inputs_BT)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 500), min_size=1, max_size=6))
def test_fresh_batches_come_out_the_same_in_any_order(steps: list[int]) -> None:
    jumping = fresh_batches()
    for step in steps:
        np.testing.assert_array_equal(jumping.batch(step), fresh_batches().batch(step))


def test_fresh_text_is_left_alone_unless_the_recipe_wants_it() -> None:
    def refuse(_block: int) -> bytes:
        raise AssertionError("nobody asked for fresh text")

    batches = Batches(source(counting(100), fresh=refuse), BYTE, config(fresh=False))
    assert batches.batch(1000)[0].shape == (4, 8)


def test_a_fresh_block_shorter_than_a_window_goes_round() -> None:
    text = source(counting(100), fresh=lambda _block: b"abc")
    inputs_BT, _ = Batches(text, BYTE, config(fresh=True)).batch(0)
    assert all(bytes(row.tolist()) in b"abc" * 5 for row in inputs_BT)


def test_validation_windows_are_spread_evenly_and_do_not_overlap() -> None:
    batches = Batches(source(counting(100), counting(250)), BYTE, config(windows=5))
    inputs_WT, targets_WT = batches.validation_inputs_WT, batches.validation_targets_WT
    assert inputs_WT.shape == targets_WT.shape == (5, 8)
    np.testing.assert_array_equal(targets_WT, inputs_WT + 1)
    starts = inputs_WT[:, 0]
    assert starts[0] == 0
    assert targets_WT[-1, -1] == 249
    assert set(np.diff(starts).tolist()) <= {60, 61}


@given(st.integers(9, 200), st.integers(1, 40))
def test_there_are_as_many_validation_windows_as_fit_or_are_wanted(n: int, wanted: int) -> None:
    inputs_WT = Batches(source(counting(100), counting(n)), BYTE, config(windows=wanted)).validation_inputs_WT
    assert len(inputs_WT) == min(wanted, (n - 1) // 8)
    assert all(gap >= 7 for gap in np.diff(inputs_WT[:, 0]))


def test_a_short_text_validates_on_its_end_and_does_not_train_on_it() -> None:
    batches = Batches(source(counting(18), b"xy"), BYTE, config())
    assert bytes(batches.validation_ids_N.tolist()) == counting(18)[-7:] + b"xy"
    assert bytes(batches.train_ids_N.tolist()) == counting(18)[:-7]
    assert batches.batch(0)[0].max() < 11


def test_what_a_synthetic_source_validates_on_stays_apart() -> None:
    with pytest.raises(DataError, match="validation data has 5 tokens; a context of 8 needs at least 9"):
        Batches(source(counting(100), counting(5), fresh=endless), BYTE, config())


@pytest.mark.parametrize("n", [1, 8, 15])
def test_a_context_longer_than_the_data_is_refused(n: int) -> None:
    with pytest.raises(DataError, match=rf"the data has {n + 2} tokens; a context of 8 needs at least 9"):
        Batches(source(counting(n), b"xy"), BYTE, config())


def test_a_text_that_is_just_long_enough_works() -> None:
    batches = Batches(source(counting(16), b"xy"), BYTE, config())
    assert batches.batch(0)[0].shape == (4, 8)
    assert batches.validation_inputs_WT.shape == (1, 8)


def test_empty_data_is_refused() -> None:
    with pytest.raises(DataError, match="empty"):
        Batches(source(b"", b""), BYTE, config())


def test_validation_text_outside_the_vocabulary_is_refused() -> None:
    tokenizer = build_tokenizer(TokenizerConfig(kind="char"), b"ab")
    with pytest.raises(TokenizerError, match="'c'"):
        Batches(source(b"ab" * 20, b"abc" * 10), tokenizer, config())


def test_the_checksum_is_of_all_the_text() -> None:
    assert source(b"one", b"two").sha256 == hashlib.sha256(b"onetwo").hexdigest()


def test_bytes_per_token_are_those_of_the_tokens_whose_loss_is_measured() -> None:
    text = "äöü and a\n".encode() * 20
    char = build_tokenizer(TokenizerConfig(kind="char"), text)
    batches = Batches(source(text, text), char, config())
    measured = b"".join(char.decode([i]) for i in batches.validation_targets_WT.flat)
    assert batches.bytes_per_token == len(measured) / batches.validation_targets_WT.size
    assert batches.bytes_per_token == pytest.approx(13 / 10, rel=0.1)
    assert Batches(source(text, text), BYTE, config()).bytes_per_token == 1
    bpe = build_tokenizer(TokenizerConfig(kind="bpe", vocab_size=260), text)
    batches = Batches(source(text, text), bpe, config())
    measured = b"".join(bpe.decode([i]) for i in batches.validation_targets_WT.flat)
    assert batches.bytes_per_token == len(measured) / batches.validation_targets_WT.size
    few = Batches(source(text, b"x" * 400 + text), bpe, config(windows=2))  # one at each end
    assert few.bytes_per_token > 1.1 * (400 + len(text)) / len(few.validation_ids_N)


def test_the_floor_is_told_in_nats_a_token() -> None:
    text = simple_dummy.generate(1, 300).encode()
    bpe = build_tokenizer(TokenizerConfig(kind="bpe", vocab_size=300), text)
    batches = Batches(source(text, text, floor=1.25), bpe, config())
    assert batches.baselines.floor == pytest.approx(1.25 * batches.bytes_per_token)
    assert Batches(source(text, text), bpe, config()).baselines.floor is None


def slow_baselines(train: list[int], validation: list[int], v: int) -> tuple[float, float]:
    """Witten and Bell's estimates as the definition has them, one token at a time."""
    followers: dict[int, Counter[int]] = {}
    for left, right in pairwise(train):
        followers.setdefault(left, Counter())[right] += 1
    singles = Counter(train)

    def single(token: int) -> float:
        return (singles[token] + len(singles) / v) / (len(train) + len(singles))

    def pair(left: int, right: int) -> float:
        seen = followers.get(left)
        if seen is None:
            return single(right)
        return (seen[right] + len(seen) * single(right)) / (seen.total() + len(seen))

    pairs = list(pairwise(validation))
    return (
        -sum(math.log(single(right)) for _, right in pairs) / len(pairs),
        -sum(math.log(pair(left, right)) for left, right in pairs) / len(pairs),
    )


TOKENS = st.lists(st.integers(0, 5), min_size=2, max_size=60)


@given(TOKENS, TOKENS)
def test_baselines_are_those_of_the_definition(train: list[int], validation: list[int]) -> None:
    found = measure_baselines(np.array(train, np.int32), np.array(validation, np.int32), 6, None)
    unigram, bigram = slow_baselines(train, validation, 6)
    assert found.uniform == pytest.approx(math.log(6))
    assert found.unigram == pytest.approx(unigram, rel=1e-9)
    assert found.bigram == pytest.approx(bigram, rel=1e-9)


def test_the_bigram_smoothing_sums_to_one() -> None:
    rng = np.random.default_rng(0)
    train = rng.integers(0, 5, 30).astype(np.int32)
    for left in range(7):
        p = [
            math.exp(-measure_baselines(train, np.array([left, right], np.int32), 7, None).bigram)
            for right in range(7)
        ]
        assert sum(p) == pytest.approx(1)


def test_baselines_stand_in_the_order_of_what_they_know() -> None:
    train = np.frombuffer(simple_dummy.generate(0).encode(), np.uint8).astype(np.int32)
    validation = np.frombuffer(simple_dummy.generate("v", 1000).encode(), np.uint8).astype(np.int32)
    found = measure_baselines(train, validation, 256, simple_dummy.floor_nats_per_character())
    assert found.floor is not None
    grammar = 1.4165  # the loss of a reader who knows where vowels and ends come, and nothing else
    assert found.floor < grammar < found.bigram < found.unigram
    assert found.unigram < math.log(15) < found.uniform


def test_the_largest_vocabulary_needs_no_table_of_pairs() -> None:
    rng = np.random.default_rng(0)
    train = rng.integers(0, 65_536, 50_000).astype(np.int32)
    found = measure_baselines(train, train[:1000], 65_536, None)
    assert found.bigram < found.unigram < found.uniform
