"""Time from Enter to the first token on the screen, with the app in a terminal of its own (120 x 36).

    python tests/bench/first_token.py --preset 2 5 --rounds 20

Enter is pressed on the sampling screen, in the prompt, while the run trains and again while it is paused.
What counts is the time until the terminal has been sent the figures of the first piece of the text.
"""

from __future__ import annotations

import statistics

from harness import SETTLE_SECONDS, App, app, options

FIRST = rb"\D1 tokens, \d+ bytes"
"""While it trains the text comes slowly, and that of the round before may still be coming."""

ANY = rb"\d tokens, \d+ bytes"
"""While it is paused all of it may come at once."""


def measure(preset: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds to the first token, while it trains and while it is paused."""
    with app(preset) as running:
        running.wait_for_metrics()
        found = {"training": times_ms(running, rounds, FIRST)}
        for _ in range(2):
            running.send("\x1b")
            running.read_for(SETTLE_SECONDS)
        running.send(" ")
        running.until(b"paused")
        found["paused"] = times_ms(running, rounds, ANY)
    return found


def times_ms(running: App, rounds: int, shown: bytes) -> list[float]:
    running.send("s")
    running.until(b"sampling from")
    running.read_for(SETTLE_SECONDS)
    times = []
    for i in range(rounds):
        running.send("\r")
        times.append(1000 * running.until(shown))
        running.read_for(SETTLE_SECONDS + 0.07 * (i % 11))  # at every phase of what recurs
    return times


def main() -> None:
    asked = options(__doc__, presets=["2", "5"], rounds=20).parse_args()
    for preset in asked.preset:
        for state, times in measure(preset, asked.rounds).items():
            figures = (
                f"median {statistics.median(times):6.1f} ms, at most {max(times):6.1f} ms of {len(times)}"
            )
            print(f"#{preset:<3} {state:9} {figures}", flush=True)


if __name__ == "__main__":
    main()
