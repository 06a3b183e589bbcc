"""Cost of the screen: steps per second with the app open in tmux (120 x 36), and without it, in turn.

    python tests/bench/dashboard.py --preset 2 5 --rounds 3 --seconds 20

Both sides write a run folder, and both rates are read from its metrics.csv: the steps between two of its
flushes, by the clock, so that everything between the steps counts as well. Needs tmux.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

from harness import endless, in_turn, newest_flush, options, show, terminal_app, wait_for_metrics

WARM_UP_SECONDS = 3.0


def headless_rate(preset: str, seconds: float) -> float:
    """Steps per second of `femtotui train`."""
    with tempfile.TemporaryDirectory() as folder:
        runs, lasting = Path(folder) / "runs", endless(preset, Path(folder))
        command = [sys.executable, "-m", "femtotui", "train", lasting, "--runs", str(runs)]
        nothing = subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)
        try:
            return rate(runs, seconds)
        finally:
            process.terminate()
            process.wait()


def app_rate(preset: str, seconds: float) -> float:
    """Steps per second with the app open, its chart and its samples on the screen."""
    with terminal_app("tmux", preset) as (_terminal, runs):
        return rate(runs, seconds)


def rate(runs: Path, seconds: float) -> float:
    metrics = wait_for_metrics(runs)
    time.sleep(WARM_UP_SECONDS)
    begin = newest_flush(metrics)
    time.sleep(seconds)
    end = newest_flush(metrics)
    if time.time() - end.time > max(5.0, seconds / 4):
        sys.exit("the run ended before it was measured")
    return begin.rate_until(end)


def main() -> None:
    asked = options(__doc__, presets=["2", "5"], rounds=3, seconds=20.0, as_json=True).parse_args()
    for preset in asked.preset:
        sides = partial(headless_rate, preset, asked.seconds), partial(app_rate, preset, asked.seconds)
        alone, app = in_turn(asked.rounds, *sides)
        cost = median(1 - b / a for a, b in zip(alone, app, strict=True))
        rates = f"{median(alone):9.2f} steps/s headless {median(app):9.2f} with the app"
        show(
            asked.json,
            f"#{preset:<3} {rates}: {cost:+.1%}",
            preset=preset,
            headless=alone,
            app=app,
            cost=cost,
        )


if __name__ == "__main__":
    main()
