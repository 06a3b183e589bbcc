"""Twelve runs in a sweep on two local workers, beside two independent `femtotui train` processes.

Both are timed from the command to its end, in turn. The sweep's time holds its start and end, and twelve
times what each run costs beside its steps; that of the independent processes holds it twice.

    python tests/bench/sweeps.py --preset 2 --steps 600 --rounds 2
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

RUNS, WORKERS = 12, 2


def femtotui(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "femtotui", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Pace(NamedTuple):
    """Steps a second, and milliseconds of processor time a step: a busy machine only shows in the first."""

    rate: float
    cpu_ms: float


def pace(steps: int, commands: list[tuple[str, ...]]) -> Pace:
    """Runs commands side by side, which make so many steps together; all of it counts."""
    begun, cpu = time.perf_counter(), children_cpu_s()
    processes = [femtotui(*command) for command in commands]
    if any(process.wait() for process in processes):
        raise SystemExit("a training failed: try its command by hand")
    return Pace(steps / (time.perf_counter() - begun), 1e3 * (children_cpu_s() - cpu) / steps)


def children_cpu_s() -> float:
    """Processor time of all processes that have ended, and of theirs."""
    times = os.times()
    return times.children_user + times.children_system


def independent(preset: str, steps: int, folder: str) -> Pace:
    """Two trainings side by side."""
    settings = ("--steps", str(steps), "--threads", "1", "--runs", folder)
    commands = [("train", preset, "--seed", str(seed), *settings) for seed in range(WORKERS)]
    return pace(WORKERS * steps, commands)


def swept(preset: str, steps: int, folder: str, n_workers: int = WORKERS, threads: int = 1) -> Pace:
    """A sweep of twelve."""
    workers = ("--workers", str(n_workers), "--threads", str(threads))
    command = ("sweep", preset, "--steps", str(steps), "--seeds", str(RUNS), *workers, "--runs", folder)
    return pace(RUNS * steps, [command])


def compare_shapes(preset: str, steps: int, rounds: int) -> None:
    """What two cores are better used for: two runs at a time, or two threads of one."""
    for _ in range(rounds):
        for workers, threads in ((2, 1), (1, 2)):
            with tempfile.TemporaryDirectory() as folder:
                found = swept(preset, steps, folder, workers, threads)
            print(f"{workers} workers x {threads} threads: {words(found)}", flush=True)


def words(found: Pace) -> str:
    return f"{found.rate:.1f} steps/s ({found.cpu_ms:.2f} ms of processor time each)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="10")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--shapes", action="store_true", help="compare 2 workers x 1 thread with 1 x 2")
    asked = parser.parse_args()
    if asked.shapes:
        compare_shapes(asked.preset, asked.steps, asked.rounds)
        return
    shares = []
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            alone = independent(asked.preset, asked.steps, str(Path(folder) / "alone"))
            sweep = swept(asked.preset, asked.steps, str(Path(folder) / "sweep"))
        shares.append(sweep.rate / alone.rate)
        print(f"independent {words(alone)}; sweep {words(sweep)}: {shares[-1]:.0%}", flush=True)
    print(f"median share: {statistics.median(shares):.0%}")


if __name__ == "__main__":
    main()
