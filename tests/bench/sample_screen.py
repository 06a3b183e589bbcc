"""The Sample screen beside a training, with the app in a terminal of its own (120 x 36).

    python tests/bench/sample_screen.py first --preset 2 5 --rounds 20
    python tests/bench/sample_screen.py stream --preset 2 --rounds 10 --seconds 8

`first`: the time from Enter in the prompt to the figures of the first piece of the text, while the run trains
and again while it is paused.

`stream`: the cost of a streaming sample to the training. The screen is open throughout. In turns, nothing is
asked of it, and a long text streams. Rates are steps between two flushes of metrics.csv, by the clock; beside
them stands the app's own share of a core, which holds on a busy machine, too.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from harness import SETTLE_SECONDS, App, app, in_turn, newest_flush, options

FIRST = rb"\D1 tokens, \d+ bytes"
"""While it trains the text comes slowly, and that of the round before may still be coming."""

ANY = rb"\d tokens, \d+ bytes"
"""While it is paused all of it may come at once."""

EMPTY_THE_FIELD = "\x15"
FIGURES = re.compile(rb"([\d,]+) tokens, [\d,]+ bytes")
TOKENS = 2000
"""More than there is time for in a turn."""


def measure_first(preset: str, rounds: int, _seconds: float) -> None:
    with app(preset) as running:
        running.wait_for_metrics()
        found = {"training": times_ms(running, rounds, FIRST)}
        for _ in range(2):
            running.send("\x1b")
            running.read_for(SETTLE_SECONDS)
        running.send(" ")
        running.until(b"paused")
        found["paused"] = times_ms(running, rounds, ANY)
    for state, times in found.items():
        figures = f"median {median(times):6.1f} ms, at most {max(times):6.1f} ms of {len(times)}"
        print(f"#{preset:<3} {state:9} {figures}", flush=True)


def times_ms(running: App, rounds: int, shown: bytes) -> list[float]:
    open_screen(running)
    times = []
    for i in range(rounds):
        running.send("\r")
        times.append(1000 * running.until(shown))
        running.read_for(SETTLE_SECONDS + 0.07 * (i % 11))  # at every phase of what recurs
    return times


def open_screen(running: App) -> None:
    running.send("s")
    running.until(b"sampling from")
    running.read_for(SETTLE_SECONDS)


class Turn(NamedTuple):
    """Steps per second, and the app's share of a core."""

    rate: float
    core: float


def measure_stream(preset: str, rounds: int, seconds: float) -> None:
    with app(preset) as running:
        metrics = running.wait_for_metrics()
        open_screen(running)
        running.send("\t")  # from the prompt to the field of the number of tokens
        running.read_for(SETTLE_SECONDS)
        sides = (partial(turn, running, metrics, seconds, streams=streams) for streams in (False, True))
        rest, stream = in_turn(rounds, *sides)
    pairs = list(zip(rest, stream, strict=True))
    low, middle, high = quantiles((1 - on.rate / off.rate for off, on in pairs), n=4)
    at_rest, more = median(off.core for off in rest), median(on.core - off.core for off, on in pairs)
    print(
        f"#{preset:<3} a streaming sample costs {middle:+.1%} of the steps per second "
        f"(quartiles {low:+.1%} and {high:+.1%} of {rounds} rounds); "
        f"the app uses {at_rest:.1%} of a core at rest and {more:+.1%} more while it streams",
        flush=True,
    )


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
    parser = options(__doc__, presets=["2"], rounds=10, seconds=8.0)
    parser.add_argument("what", choices=("first", "stream"))
    asked = parser.parse_args()
    for preset in asked.preset:
        (measure_first if asked.what == "first" else measure_stream)(preset, asked.rounds, asked.seconds)


if __name__ == "__main__":
    main()
