#!/usr/bin/env python3
"""Sums, one a line: `a + b = c;` with a and b from 0 to 100, every pair equally likely.

    python3 dummy_data/addition_dummy.py > dataset.txt

A tenth of the 10,201 sums can be held out, so that getting one right is adding and not remembering:
`--sums train` writes only the others, `--sums held_out` only those.

Source: journal entries 7 and 8.
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
from typing import Literal, get_args

LARGEST = 100
HELD_OUT_SHARE = 0.1
DEFAULT_LINES = 8000
MAX_LINES = 10_000_000
MAX_SEED = 2**32 - 1

Sums = Literal["all", "train", "held_out"]


def generate(seed: int | str, lines: int = DEFAULT_LINES, sums: Sums = "all") -> str:
    """Write `lines` lines of text, the same for the same arguments on every machine and Python.

    Every line ends with a newline, the last one too, so that texts can be put one after another.

    Raises:
        ValueError: `lines` is negative, or `sums` is none of `all`, `train`, `held_out`.
    """
    if sums not in get_args(Sums):
        raise ValueError(f"sums must be one of {', '.join(get_args(Sums))}, not {sums!r}")
    return "".join(islice(_endless_lines(seed, sums), lines))


def floor_nats_per_character(sums: Sums = "all") -> float:
    """The lowest possible mean loss of a reader who knows the rule (0.6445).

    a and b carry 2 ln 101 = 9.230 nats, and all else follows from them. A line has 8 characters beside the
    numbers (` + `, ` = `, `;` and the newline); a and b have 193 / 101 digits each in the mean and c has
    25498 / 10201, which makes 14.321.

    For `train` and `held_out` only the mean length differs: what is held out cannot be known from the
    outside, so to this reader every pair stays equally likely.
    """
    table = _lines(sums)
    return 2 * log(LARGEST + 1) * len(table) / sum(map(len, table))


@cache
def held_out_pairs() -> frozenset[tuple[int, int]]:
    """The 1,020 pairs whose sum `sums="train"` never writes: a fixed, random tenth.

    `a + b` and `b + a` are two sums, each drawn on its own.
    """
    random = Random("addition_dummy held out").random
    pairs = sorted(_all_pairs(), key=lambda _: random())
    return frozenset(pairs[: int(len(pairs) * HELD_OUT_SHARE)])


def _all_pairs() -> list[tuple[int, int]]:
    return [(a, b) for a in range(LARGEST + 1) for b in range(LARGEST + 1)]


@cache
def _lines(sums: Sums) -> tuple[str, ...]:
    pairs = _all_pairs()
    if sums != "all":
        pairs = [pair for pair in pairs if (pair in held_out_pairs()) == (sums == "held_out")]
    return tuple(f"{a} + {b} = {a + b};\n" for a, b in pairs)


def _endless_lines(seed: int | str, sums: Sums) -> Iterator[str]:
    """Draw lines for ever, one random number each."""
    # random() under a text seed is the one sequence that Python promises to keep between versions.
    random = Random(f"addition_dummy {seed}").random
    table = _lines(sums)
    n = len(table)
    while True:
        yield table[int(random() * n)]


def _whole_number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        with suppress(ValueError):
            if least <= int(text) <= most:
                return int(text)
        raise argparse.ArgumentTypeError(f"a whole number from {least:,} to {most:,} is needed")

    return parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the lines to standard output; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write sums of two numbers from 0 to 100, one a line.")
    parser.add_argument("--seed", type=_whole_number(0, MAX_SEED), default=0, help="another seed, other sums")
    parser.add_argument(
        "--lines", type=_whole_number(1, MAX_LINES), default=DEFAULT_LINES, help="how many (%(default)s)"
    )
    parser.add_argument(
        "--sums", choices=get_args(Sums), default="all", help="all, or without or only the held-out tenth"
    )
    options = parser.parse_args(arguments)
    lines = islice(_endless_lines(options.seed, options.sums), options.lines)
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
