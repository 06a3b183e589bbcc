"""The sums of addition_dummy: all right, all likely, a tenth of them held out."""

from __future__ import annotations

import math
import re
from collections import Counter

import pytest

from femtotui.dummy_data.addition_dummy import Sums, floor_nats_per_character, generate, held_out_pairs

PAIRS = [(a, b) for a in range(101) for b in range(101)]
HELD_OUT = held_out_pairs()


def pairs_of(text: str) -> list[tuple[int, int]]:
    """The pairs of a text, every line of which must be a right sum."""
    pairs = []
    for line in text.splitlines():
        found = re.fullmatch(r"(0|[1-9]\d*) \+ (0|[1-9]\d*) = (0|[1-9]\d*);", line)
        assert found
        a, b, c = map(int, found.groups())
        assert a + b == c
        pairs.append((a, b))
    return pairs


def test_every_line_is_a_right_sum_of_numbers_up_to_100() -> None:
    text = generate(0, 8000)
    assert text.endswith(";\n")
    assert text.count("\n") == 8000
    assert set(pairs_of(text)) <= set(PAIRS)


@pytest.mark.parametrize(("sums", "kinds"), [("all", 10_201), ("train", 10_201 - 1020), ("held_out", 1020)])
def test_every_sum_is_equally_likely(sums: Sums, kinds: int) -> None:
    counts = Counter(pairs_of(generate("frequencies", 100_000, sums)))
    expected = 100_000 / kinds
    statistic = sum((counts[pair] - expected) ** 2 / expected for pair in counts)
    statistic += (kinds - len(counts)) * expected
    assert len(counts) <= kinds
    assert abs(statistic - (kinds - 1)) < 5 * math.sqrt(2 * (kinds - 1))


def test_a_tenth_of_all_sums_is_held_out_and_spread_evenly() -> None:
    assert len(HELD_OUT) == 1020
    low = sum(a + b <= 100 for a, b in HELD_OUT) / sum(a + b <= 100 for a, b in PAIRS)
    assert 0.08 < low < 0.12


def test_which_sums_are_held_out_stays_what_it_is() -> None:
    assert sorted(HELD_OUT)[:5] == [(0, 12), (0, 15), (0, 38), (0, 40), (0, 61)]


def test_training_never_sees_a_held_out_sum_and_validation_nothing_else() -> None:
    train = set(pairs_of(generate(1, 50_000, "train")))
    held_out = set(pairs_of(generate(1, 50_000, "held_out")))
    assert train.isdisjoint(HELD_OUT)
    assert held_out == HELD_OUT
    assert not set(pairs_of(generate(1, 8000))).isdisjoint(HELD_OUT)


def test_what_no_line_has_is_not_held_out() -> None:
    assert set(PAIRS) >= HELD_OUT


def test_the_same_arguments_give_the_same_text_and_others_another() -> None:
    assert generate(7, 100, "train") == generate(7, 100, "train")
    assert generate(7, 100) != generate(8, 100)
    assert generate(0, 2) == "27 + 94 = 121;\n34 + 66 = 100;\n"


def test_arguments_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="held_out"):
        generate(0, 5, "some")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="islice"):
        generate(0, -1)


def test_the_floor_is_the_entropy_of_a_pair_over_the_mean_length() -> None:
    mean_length = sum(len(f"{a} + {b} = {a + b};\n") for a, b in PAIRS) / len(PAIRS)
    assert floor_nats_per_character() == pytest.approx(math.log(len(PAIRS)) / mean_length, rel=1e-12)
    assert floor_nats_per_character() == pytest.approx(0.6445, abs=5e-5)
    for sums in ("train", "held_out"):
        assert floor_nats_per_character(sums) == pytest.approx(0.6445, abs=5e-4)
