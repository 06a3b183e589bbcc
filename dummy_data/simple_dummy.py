#!/usr/bin/env python3
"""Words of a made-up language, one a line, each followed by `;`.

    python3 dummy_data/simple_dummy.py > dataset.txt

The rules: a word is consonant, vowel, consonant, vowel, and in half of the words consonant, vowel once more;
the consonants are `bcdfghjk`, the vowels `aeiou`; no letter occurs twice in a word; and a word does not start
like any of the three words before it. Among what the rules allow, every choice is equally likely.

Source: journal entries 1 to 3, 9 and 10.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import islice
from math import log
from random import Random

CONSONANTS = "bcdfghjk"
VOWELS = "aeiou"
LENGTHS = (4, 6)
RECENT = 3
DEFAULT_LINES = 8000
MAX_LINES = 10_000_000
MAX_SEED = 2**32 - 1

RULES = {
    "letters": f"only the letters {CONSONANTS} and {VOWELS} occur",
    "length": "a word has 4 or 6 letters",
    "alternation": "consonant and vowel alternate, a consonant first",
    "letter_twice": "no letter occurs twice in a word",
    "recent_first_letter": "a word does not start like any of the 3 words before it",
}
"""The names that `broken_rules` gives, and what they mean."""


def generate(seed: int | str, lines: int = DEFAULT_LINES) -> str:
    """Write `lines` lines of text, the same for the same arguments on every machine and Python.

    Raises:
        ValueError: `lines` is negative.
    """
    return "".join(islice(_endless_lines(seed), lines))


def broken_rules(word: str, previous_words: Sequence[str]) -> list[str]:
    """Name the rules that a word (without its `;`) breaks, given the words before it, the latest last.

    The names are keys of `RULES`, in their order. A letter that is neither consonant nor vowel breaks
    `letters` and is not held against `alternation` as well.
    """
    consonants, vowels = set(CONSONANTS), set(VOWELS)
    recent = {previous[:1] for previous in previous_words[-RECENT:]}
    broken = {
        "letters": not set(word) <= consonants | vowels,
        "length": len(word) not in LENGTHS,
        "alternation": not (vowels.isdisjoint(word[::2]) and consonants.isdisjoint(word[1::2])),
        "letter_twice": len(set(word)) < len(word),
        "recent_first_letter": word != "" and word[0] in recent,
    }
    return [rule for rule in RULES if broken[rule]]


def floor_nats_per_character() -> float:
    """The lowest possible mean loss: that of a reader who knows every rule (1.2413).

    The entropy of a line, letter by letter: 8 - 3 first letters, 5 vowels, 8 - 1 consonants, 5 - 1 vowels,
    a fair coin for going on, and in half of the words 8 - 2 consonants and 5 - 2 vowels. The `;` and the
    newline are certain. A line has (4 + 6) / 2 + 2 = 7 characters in the mean. The words of a line depend on
    earlier ones through the first letter only, so entropy a character is 8.689 / 7.
    """
    c, v = len(CONSONANTS), len(VOWELS)
    always = log(c - RECENT) + log(v) + log(c - 1) + log(v - 1) + log(2)
    return (always + (log(c - 2) + log(v - 2)) / 2) / (sum(LENGTHS) / len(LENGTHS) + len(";\n"))


def _endless_lines(seed: int | str) -> Iterator[str]:
    """Draw lines for ever, one random number each.

    `firsts` holds the first letters with the last three used at its end, so the others are `firsts[:5]`.
    Its random order at the start makes the first three words as free as the rules leave them.
    """
    # random() under a text seed is the one sequence that Python promises to keep between versions.
    random = Random(f"simple_dummy {seed}").random
    firsts = sorted(CONSONANTS, key=lambda _: random())
    n_firsts = len(CONSONANTS) - RECENT
    lines_of = {first: _lines_starting(first) for first in CONSONANTS}
    n_lines = len(lines_of[CONSONANTS[0]])
    while True:
        choice, line = divmod(int(random() * (n_firsts * n_lines)), n_lines)
        first = firsts.pop(choice)
        firsts.append(first)
        yield lines_of[first][line]


@cache
def _lines_starting(first: str) -> list[str]:
    """All lines, each equally likely: a short word stands as often as there are ways to go on from it."""
    short = [first + v + c + w for v in VOWELS for c in CONSONANTS if c != first for w in VOWELS if w != v]
    long = [
        word + c + v for word in short for c in CONSONANTS if c not in word for v in VOWELS if v not in word
    ]
    weight = len(long) // len(short)
    return [f"{word};\n" for word in short] * weight + [f"{word};\n" for word in long]


def _whole_number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        with suppress(ValueError):
            if least <= int(text) <= most:
                return int(text)
        raise argparse.ArgumentTypeError(f"a whole number from {least:,} to {most:,} is needed")

    return parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the lines to standard output; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write words of a made-up language, one a line.")
    parser.add_argument(
        "--seed", type=_whole_number(0, MAX_SEED), default=0, help="another seed, other words"
    )
    parser.add_argument(
        "--lines", type=_whole_number(1, MAX_LINES), default=DEFAULT_LINES, help="how many (%(default)s)"
    )
    options = parser.parse_args(arguments)
    lines = islice(_endless_lines(options.seed), options.lines)
    return _write(lines, parser.prog)


def _write(lines: Iterator[str], program: str) -> int:
    """Write as far as somebody reads; a full disk is told in words."""
    if sys.stdout is None:
        print(f"{program}: there is no standard output to write to", file=sys.stderr)
        return 2
    try:
        # Bytes, because text output would turn newlines into carriage returns and newlines on Windows.
        sys.stdout.buffer.writelines(line.encode("ascii") for line in lines)
        sys.stdout.flush()
        return 0
    except BrokenPipeError:
        code = 0
    except OSError as error:
        print(f"{program}: cannot write the lines: {error.strerror}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        code = 130
    # Keeps Python from writing what is left when it exits: the reader has gone or the disk is full.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    sys.exit(main())
