"""Cost of a streaming sample to the training beside it, in the app, in a terminal of its own (120 x 36).

    python tests/bench/streaming.py --preset 2 --rounds 10 --seconds 8

The sampling screen is open throughout. In turns, nothing is asked of it, and a long text streams; every other
round the stream goes first. Rates are steps between two flushes of metrics.csv, by the clock; beside them
stands the app's own share of a core, which holds on a busy machine, too.
"""

from __future__ import annotations

import re
import statistics
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness import SETTLE_SECONDS, App, app, in_turn, newest_flush, options

EMPTY_THE_FIELD = "\x15"
FIGURES = re.compile(rb"([\d,]+) tokens, [\d,]+ bytes")
TOKENS = 2000
"""More than there is time for in a turn."""


@dataclass(frozen=True)
class Turn:
    """Steps per second, and the app's share of a core."""

    rate: float
    core: float


def measure(preset: str, rounds: int, seconds: float) -> list[list[Turn]]:
    """The turns at rest, and those with a stream."""
    with app(preset) as running:
        metrics = running.wait_for_metrics()
        running.send("s")
        running.until(b"sampling from")
        running.send("\t")  # from the prompt to the field of the number of tokens
        running.read_for(2 * SETTLE_SECONDS)
        sides = (partial(turn, running, metrics, seconds, streams=streams) for streams in (False, True))
        return in_turn(rounds, *sides)


def turn(running: App, metrics: Path, seconds: float, *, streams: bool) -> Turn:
    """While a text streams, or with the screen at rest."""
    # One after the other: a key that does something may be overtaken by one that is only typed.
    for keys in (EMPTY_THE_FIELD, str(TOKENS if streams else 1), "\r"):
        running.send(keys)
        running.read_for(SETTLE_SECONDS)
    begin, busy = newest_flush(metrics), running.busy_seconds
    seen = running.read_for(seconds)
    if streams is not (len(set(FIGURES.findall(seen))) > 1):
        sys.exit("the text did not stream when it should, or did when it should not")
    end, busy = newest_flush(metrics), running.busy_seconds - busy
    return Turn(begin.rate_until(end), busy / seconds)


def main() -> None:
    asked = options(__doc__, presets=["2"], rounds=10, seconds=8.0).parse_args()
    for preset in asked.preset:
        rest, stream = measure(preset, asked.rounds, asked.seconds)
        pairs = list(zip(rest, stream, strict=True))
        low, middle, high = statistics.quantiles((1 - on.rate / off.rate for off, on in pairs), n=4)
        at_rest = statistics.median(off.core for off in rest)
        more = statistics.median(on.core - off.core for off, on in pairs)
        print(
            f"#{preset:<3} a streaming sample costs {middle:+.1%} of the steps per second "
            f"(quartiles {low:+.1%} and {high:+.1%} of {asked.rounds} rounds); "
            f"the app uses {at_rest:.1%} of a core at rest and {more:+.1%} more while it streams",
            flush=True,
        )


if __name__ == "__main__":
    main()
