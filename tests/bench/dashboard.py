"""What the screen costs: steps a second with the app open in tmux (120 x 36), and without it, in turn.

    python tests/bench/dashboard.py --preset 2 5 --rounds 3 --seconds 20

Both sides write a run folder, and both rates are read from its metrics.csv: the steps between two of its
flushes, by the clock, so that everything between the steps counts as well. Needs tmux.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "app"))
from endless import endless
from terminal import open_terminal, wait_for_exit

WIDTH, HEIGHT = 120, 36
START_SECONDS = 60.0
WARM_UP_SECONDS = 3.0


@dataclass(frozen=True)
class Cost:
    """Steps a second on both sides, round by round; `cost` is the median share of steps lost."""

    preset: str
    headless: list[float]
    app: list[float]
    cost: float


@dataclass(frozen=True)
class Mark:
    """A flush of metrics.csv: when it was, and the last step in it."""

    time: float
    step: int


def cost_of_the_screen(preset: str, rounds: int, seconds: float) -> Cost:
    """Both sides in turn; every other round the app goes first."""
    sides: list[Callable[[str, float], float]] = [headless_rate, app_rate]
    rates: dict[Callable[[str, float], float], list[float]] = {side: [] for side in sides}
    for i in range(rounds):
        for side in sides if i % 2 == 0 else reversed(sides):
            rates[side].append(side(preset, seconds))
    shares = [1 - app / alone for alone, app in zip(rates[headless_rate], rates[app_rate], strict=True)]
    return Cost(preset, rates[headless_rate], rates[app_rate], statistics.median(shares))


def headless_rate(preset: str, seconds: float) -> float:
    """Steps a second of `femtotui train`."""
    with tempfile.TemporaryDirectory() as folder:
        runs, lasting = Path(folder) / "runs", endless(preset, Path(folder))
        process = subprocess.Popen(
            [sys.executable, "-m", "femtotui", "train", lasting, "--runs", str(runs)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return _rate(runs, seconds)
        finally:
            process.terminate()
            process.wait()


def app_rate(preset: str, seconds: float) -> float:
    """Steps a second with the app open, its chart and its samples on the screen."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        terminal = open_terminal("tmux", ["--preset", endless(preset, path)], path, WIDTH, HEIGHT)
        try:
            rate = _rate(path / "runs", seconds)
            terminal.type("q")
            wait_for_exit(terminal)
            return rate
        finally:
            terminal.close()


def _rate(runs: Path, seconds: float) -> float:
    metrics = _wait_for_metrics(runs)
    time.sleep(WARM_UP_SECONDS)
    begin = newest_flush(metrics)
    time.sleep(seconds)
    end = newest_flush(metrics)
    if time.time() - end.time > max(5.0, seconds / 4):
        sys.exit("the run ended before it was measured: ask for fewer --seconds")
    return (end.step - begin.step) / (end.time - begin.time)


def _wait_for_metrics(runs: Path) -> Path:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for metrics in runs.glob("*/metrics.csv"):
            if newest_flush(metrics).step:
                return metrics
        time.sleep(0.1)
    sys.exit(f"no step within {START_SECONDS:g} seconds")


def newest_flush(metrics: Path) -> Mark:
    """The newest flush. Rows are appended whole: time and text fit if the time stays the same meanwhile."""
    while True:
        before = metrics.stat().st_mtime_ns
        lines = metrics.read_text("utf-8").splitlines()
        if metrics.stat().st_mtime_ns == before:
            return Mark(before / 1e9, int(lines[-1].split(",")[0]) if len(lines) > 1 else 0)


def _line(cost: Cost) -> str:
    alone, app = statistics.median(cost.headless), statistics.median(cost.app)
    return f"#{cost.preset:<3} {alone:9.2f} steps/s headless {app:9.2f} with the app: {cost.cost:+.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--preset", nargs="+", default=["2", "5"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="of training measured a side and round")
    parser.add_argument("--json", action="store_true", help="one JSON object a preset")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.seconds < 1:
        parser.error("--rounds and --seconds must be at least 1")
    os.environ.pop("TMUX", None)
    for preset in arguments.preset:
        cost = cost_of_the_screen(preset, arguments.rounds, arguments.seconds)
        print(json.dumps(asdict(cost)) if arguments.json else _line(cost), flush=True)


if __name__ == "__main__":
    main()
