"""Cost of the screen: steps per second with the app open in tmux (120 x 36), and without it, in turn.

    python tests/bench/dashboard.py --preset 2 5 --rounds 3 --seconds 20

Both sides write a run folder, and both rates are read from its metrics.csv: the steps between two of its
flushes, by the clock, so that everything between the steps counts as well. Needs tmux.

With --layers it is the cost of the layers panel and its measurements: the app with it, and with the loss,
in turn within one app, so that both see the same run.
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
from terminal import wait_for

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


def panel_rates(preset: str, seconds: float, rounds: int) -> list[list[float]]:
    """Steps per second with the chart of the loss in sight, and with the layers."""
    with terminal_app("tmux", preset) as (terminal, runs):
        wait_for_metrics(runs)
        keys = {True: "T", False: "t"}  # from the loss to the layers, and back
        is_shown = False

        def shown(wanted: bool) -> float:
            nonlocal is_shown
            if wanted is not is_shown:
                terminal.type(keys[wanted])
                wait_for(terminal, lambda screen: ("stream RMS" in screen) is wanted)
            is_shown = wanted
            return rate(runs, seconds)

        return in_turn(rounds, partial(shown, False), partial(shown, True))


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
    parser = options(__doc__, presets=["2", "5"], rounds=3, seconds=20.0, as_json=True)
    parser.add_argument("--layers", action="store_true", help="what the layers panel costs")
    asked = parser.parse_args()
    sides = ("with the loss", "with the layers") if asked.layers else ("headless", "with the app")
    for preset in asked.preset:
        if asked.layers:
            without, shown = panel_rates(preset, asked.seconds, asked.rounds)
        else:
            run = partial(headless_rate, preset, asked.seconds), partial(app_rate, preset, asked.seconds)
            without, shown = in_turn(asked.rounds, *run)
        cost = median(1 - b / a for a, b in zip(without, shown, strict=True))
        rates = f"{median(without):9.2f} steps/s {sides[0]} {median(shown):9.2f} {sides[1]}"
        figures = dict(
            zip(("without", "shown") if asked.layers else ("headless", "app"), (without, shown), strict=True)
        )
        show(asked.json, f"#{preset:<3} {rates}: {cost:+.1%}", preset=preset, cost=cost, **figures)


if __name__ == "__main__":
    main()
