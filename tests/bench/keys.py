"""Time in which the app answers a key while it trains: from writing the key to words that show its effect.

    python tests/bench/keys.py --preset 5 --keys 40

The app runs in a pseudo-terminal of 120 x 36, as it is or with `--tmux` inside tmux. `l` turns the loss
axis logarithmic, `?` opens the help and closes it. What else is drawn meanwhile does not count: nothing else
writes the words of an effect. `--busy N` starts N processes beside it that compute.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
from contextlib import ExitStack
from typing import NamedTuple

from harness import app, options, positive, show

ANSWER_SECONDS = 5.0
GOAL_MS = 100.0


class Probe(NamedTuple):
    """A key, the words that only its effect writes, and the key that undoes it."""

    name: str
    key: str
    effect: bytes
    undo: str


PROBES = (
    Probe("l (axis)", "l", b"log y", "l"),
    Probe("? (help)", "?", b"escape closes", ""),
    Probe("? (back)", "?", b" presets ", ""),
)


def measure(preset: str, keys: int, tmux: bool, busy: int) -> dict[str, list[float]]:
    """Press `keys` keys of every kind at random moments; returns milliseconds to each effect."""
    times: dict[str, list[float]] = {probe.name: [] for probe in PROBES}
    moments = random.Random(0)
    with ExitStack() as stack:
        for _ in range(busy):
            process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(process.wait)
            stack.callback(process.kill)  # called first
        running = stack.enter_context(app(preset, inside_tmux=tmux))
        running.until(b"s/step")  # written when the first steps have been timed
        running.read_for(4.0)
        for _ in range(keys):
            for probe in PROBES:
                running.read_for(moments.uniform(0.1, 0.3))
                running.send(probe.key)
                times[probe.name].append(1000 * running.until(probe.effect, ANSWER_SECONDS))
                running.send(probe.undo)
    return times


def main() -> None:
    parser = options(__doc__, as_json=True)
    parser.add_argument("--preset", default="5")
    parser.add_argument("--keys", type=positive, default=40, help="of every kind")
    parser.add_argument("--tmux", action="store_true", help="inside tmux")
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside it")
    asked = parser.parse_args()
    found = measure(asked.preset, asked.keys, asked.tmux, asked.busy)
    found["all"] = [ms for times in found.values() for ms in times]
    for key, ms in found.items():
        line = (
            f"{key:10} {len(ms):4} keys  median {statistics.median(ms):6.1f} ms"
            f"  p95 {statistics.quantiles(ms, n=20, method='inclusive')[-1]:6.1f}  most {max(ms):6.1f}"
            f"  within {GOAL_MS:.0f} ms {sum(x <= GOAL_MS for x in ms) / len(ms):4.0%}"
        )
        show(asked.json, line, key=key, ms=ms)


if __name__ == "__main__":
    main()
