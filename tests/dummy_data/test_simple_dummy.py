"""The words of simple_dummy: its rules, its frequencies, its floors."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest

from femtotui.dummy_data.simple_dummy import (
    RULES,
    broken_rules,
    floor_nats_per_character,
    generate,
)


def words_of(text: str) -> list[str]:
    assert text.endswith(";\n")
    return text.removesuffix(";\n").split(";\n")


def chi_square(counts: Counter[str], kinds: int) -> float:
    expected = counts.total() / kinds
    return sum((count - expected) ** 2 / expected for count in counts.values())


def likely(statistic: float, kinds: int) -> bool:
    """Within five standard deviations of what equal chances give."""
    freedom = kinds - 1
    return abs(statistic - freedom) < 5 * math.sqrt(2 * freedom)


WORDS = words_of(generate("frequencies", 40_000))


def test_every_word_obeys_every_rule() -> None:
    for index, word in enumerate(WORDS):
        assert broken_rules(word, WORDS[:index][-5:] if index < 5 else WORDS[index - 5 : index]) == []


def test_the_text_has_15_symbols_and_as_many_lines_as_asked_for() -> None:
    text = generate(0, 8000)
    assert text.count("\n") == text.count(";\n") == 8000
    assert set(text) == set("abcdefghijkou;\n")


def test_the_same_arguments_give_the_same_text_and_others_another() -> None:
    assert generate(7, 100) == generate(7, 100)
    assert generate(7, 100) != generate(8, 100)
    assert generate("7 validation", 100) != generate(7, 100)
    assert generate(7, 200).startswith(generate(7, 100))


def test_the_text_of_a_seed_stays_what_it_is() -> None:
    assert generate(0, 4) == "jeci;\ncago;\nkucajo;\nhecofi;\n"


def test_no_lines_is_no_text_and_fewer_are_refused() -> None:
    assert generate(0, 0) == ""
    with pytest.raises(ValueError, match="islice"):
        generate(0, -1)


def test_half_of_the_words_are_long() -> None:
    long = sum(len(word) == 6 for word in WORDS)
    assert abs(long - len(WORDS) / 2) < 5 * math.sqrt(len(WORDS)) / 2


def test_every_allowed_first_letter_is_equally_likely() -> None:
    """By rank among the five letters that the three words before leave."""
    ranks: Counter[str] = Counter()
    for recent_and_word in zip(WORDS, WORDS[1:], WORDS[2:], WORDS[3:], strict=False):
        *recent, word = (each[0] for each in recent_and_word)
        allowed = sorted(set("bcdfghjk") - set(recent))
        ranks[str(allowed.index(word))] += 1
    assert len(ranks) == 5
    assert likely(chi_square(ranks, 5), 5)


def test_the_first_three_words_are_as_free_as_the_others() -> None:
    starts = [words_of(generate(f"start {seed}", 4)) for seed in range(4000)]
    for place in range(4):
        letters = Counter(words[place][0] for words in starts)
        assert len(letters) == 8
        assert likely(chi_square(letters, 8), 8)
    triples = Counter("".join(word[0] for word in words[:3]) for words in starts)
    assert len(triples) == 8 * 7 * 6
    assert likely(chi_square(triples, 336), 336)


@pytest.mark.parametrize(("length", "kinds"), [(4, 8 * 5 * 7 * 4), (6, 8 * 5 * 7 * 4 * 6 * 3)])
def test_every_word_of_a_length_is_equally_likely(length: int, kinds: int) -> None:
    counts = Counter(word for word in words_of(generate("words", 200_000)) if len(word) == length)
    missing = kinds - len(counts)
    expected = counts.total() / kinds
    assert likely(chi_square(counts, kinds) + missing * expected, kinds)


def test_the_floor_is_the_entropy_of_the_generator() -> None:
    """Counted over all words: -log p of each, its first letter one out of five."""
    nats = characters = 0.0
    for length in (4, 6):
        pools = ["bcdfghjk" if place % 2 == 0 else "aeiou" for place in range(length)]
        n_words = sum(len(set(letters)) == length for letters in itertools.product(*pools))
        # Of the words of a length, five eighths have a first letter that is free.
        nats += math.log(2 * n_words * 5 / 8) / 2
        characters += (length + 2) / 2
    assert floor_nats_per_character() == pytest.approx(nats / characters, rel=1e-12)
    assert floor_nats_per_character() == pytest.approx(1.2413, abs=5e-5)


@pytest.mark.parametrize(
    ("word", "previous", "rules"),
    [
        ("bacedi", [], []),
        ("bace", ["caba", "dabe", "fabe", "babe"][:3], []),
        ("bace", ["babe", "dace", "face", "gace"], []),
        ("bace", ["face", "babe", "dace"], ["recent_first_letter"]),
        ("baca", [], ["letter_twice"]),
        ("bacede", [], ["letter_twice"]),
        ("bac", [], ["length"]),
        ("bacedifo", [], ["length"]),
        ("abec", [], ["alternation"]),
        ("bcae", [], ["alternation"]),
        ("bace\x1b[31m", [], ["letters", "length"]),
        ("Bace", [], ["letters"]),
        ("", ["bace", ""], ["length"]),
        ("aaab", ["aceb"], ["alternation", "letter_twice", "recent_first_letter"]),
    ],
)
def test_broken_rules_are_named(word: str, previous: list[str], rules: list[str]) -> None:
    assert broken_rules(word, previous) == rules
    assert set(rules) <= set(RULES)
