"""What a streaming sample costs the training beside it, in the app, in a terminal of its own (120 x 36).

    python tests/bench/streaming.py --preset 2 --rounds 10 --seconds 8

The sampling screen is open throughout. In turns, nothing is asked of it, and a long text streams; every other
round the stream goes first. Rates are steps between two flushes of metrics.csv, by the clock; beside them
stands what the app itself takes of a core, which says something on a busy machine, too.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "app"))
from dashboard import Mark, newest_flush
from endless import endless
from first_token import HEIGHT, SETTLE_SECONDS, WIDTH, Watched, wait_for_steps
from terminal import PtyTerminal, open_terminal

_EMPTY_THE_FIELD = "\x15"
_FIGURES = re.compile(rb"([\d,]+) tokens, [\d,]+ bytes")
TOKENS = 2000
"""More than a turn has time for."""


@dataclass(frozen=True)
class Turn:
    """Steps a second, and the share of a core that the app took."""

    rate: float
    core: float


def turns(preset: str, rounds: int, seconds: float) -> list[tuple[Turn, Turn]]:
    """A turn at rest and one with a stream, round by round."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        terminal = open_terminal("pty", ["--preset", endless(preset, path)], path, WIDTH, HEIGHT)
        assert isinstance(terminal, PtyTerminal)
        app = Watched(terminal)
        try:
            metrics = wait_for_steps(path / "runs", app)
            app.send("s")
            app.until(re.compile(b"sampling from"))
            app.send("\t")  # from the prompt to the field of the number of tokens
            app.read_for(2 * SETTLE_SECONDS)
            found = []
            for number in range(rounds):
                order = (False, True) if number % 2 == 0 else (True, False)
                each = {streams: _turn(app, metrics, seconds, streams=streams) for streams in order}
                found.append((each[False], each[True]))
            app.leave()
            return found
        finally:
            terminal.close()


def _turn(app: Watched, metrics: Path, seconds: float, *, streams: bool) -> Turn:
    """While a text streams, or with the screen at rest."""
    # One after the other: a key that does something may be overtaken by one that is only typed.
    for keys in (_EMPTY_THE_FIELD, str(TOKENS if streams else 1), "\r"):
        app.send(keys)
        app.read_for(SETTLE_SECONDS)
    begin, busy = newest_flush(metrics), app.busy_seconds
    seen = app.read_for(seconds)
    if streams is not (len(set(_FIGURES.findall(seen))) > 1):
        sys.exit("the text did not stream when it should, or did when it should not")
    end, busy = newest_flush(metrics), app.busy_seconds - busy
    return Turn(_rate(begin, end), busy / seconds)


def _rate(begin: Mark, end: Mark) -> float:
    if end.step <= begin.step:
        sys.exit("no step in a turn: ask for more --seconds")
    return (end.step - begin.step) / (end.time - begin.time)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--preset", nargs="+", default=["2"])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=8.0, help="of training measured a turn")
    arguments = parser.parse_args()
    for preset in arguments.preset:
        found = turns(preset, arguments.rounds, arguments.seconds)
        low, middle, high = statistics.quantiles((1 - on.rate / off.rate for off, on in found), n=4)
        at_rest, more = (
            statistics.median(shares)
            for shares in zip(*((o.core, s.core - o.core) for o, s in found), strict=True)
        )
        print(
            f"#{preset:<3} a streaming sample costs {middle:+.1%} of the steps a second "
            f"(quartiles {low:+.1%} and {high:+.1%} of {len(found)} rounds); "
            f"the app takes {at_rest:.1%} of a core at rest and {more:+.1%} more while it streams",
            flush=True,
        )


if __name__ == "__main__":
    main()
