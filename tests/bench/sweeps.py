"""Twelve runs in a sweep on two local workers, beside two independent `femtotui train` processes.

Both are timed from the command to its end, in turn. The sweep's time holds its start and end, and twelve
times the cost of a run beside its steps; that of the independent processes holds it twice.

    python tests/bench/sweeps.py --preset 2 --steps 600 --rounds 2
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import NamedTuple

from harness import in_turn, options, positive

RUNS, WORKERS = 12, 2


class Pace(NamedTuple):
    """Steps per second, and milliseconds of processor time per step, which a busy machine does not move."""

    rate: float
    cpu_ms: float

    def __str__(self) -> str:
        return f"{self.rate:.1f} steps/s ({self.cpu_ms:.2f} ms of processor time each)"


def pace(what: str, steps: int, commands: list[tuple[str, ...]]) -> Pace:
    """Run commands side by side, which make `steps` steps together; all of it counts."""
    with tempfile.TemporaryDirectory() as folder:
        begun, cpu = time.perf_counter(), children_cpu_s()
        program, nothing = [sys.executable, "-m", "femtotui"], subprocess.DEVNULL
        processes = [
            subprocess.Popen([*program, *command, "--runs", folder], stdout=nothing, stderr=nothing)
            for command in commands
        ]
        codes = [process.wait() for process in processes]
        if any(codes):
            raise SystemExit("a training failed: try its command by hand")
        found = Pace(steps / (time.perf_counter() - begun), 1e3 * (children_cpu_s() - cpu) / steps)
    print(f"{what}: {found}", flush=True)
    return found


def children_cpu_s() -> float:
    """Processor time of all processes that have ended, and of theirs."""
    times = os.times()
    return times.children_user + times.children_system


def independent(preset: str, steps: int) -> Pace:
    """Two trainings side by side."""
    settings = ("--steps", str(steps), "--threads", "1")
    commands = [("train", preset, "--seed", str(seed), *settings) for seed in range(WORKERS)]
    return pace("independent", WORKERS * steps, commands)


def swept(preset: str, steps: int, workers: int = WORKERS, threads: int = 1) -> Pace:
    """A sweep of twelve."""
    shape = ("--workers", str(workers), "--threads", str(threads))
    command = ("sweep", preset, "--steps", str(steps), "--seeds", str(RUNS), *shape)
    return pace(f"sweep, {workers} workers x {threads} threads", RUNS * steps, [command])


def main() -> None:
    parser = options(__doc__, rounds=2)
    parser.add_argument("--preset", default="10")
    parser.add_argument("--steps", type=positive, default=600)
    parser.add_argument("--shapes", action="store_true", help="compare 2 workers x 1 thread with 1 x 2")
    asked = parser.parse_args()
    sweep = partial(swept, asked.preset, asked.steps)
    if asked.shapes:
        in_turn(asked.rounds, sweep, partial(sweep, 1, 2))
        return
    alone, together = in_turn(asked.rounds, partial(independent, asked.preset, asked.steps), sweep)
    shares = [sweep.rate / other.rate for sweep, other in zip(together, alone, strict=True)]
    print(f"shares {', '.join(f'{share:.0%}' for share in shares)}; median {statistics.median(shares):.0%}")


if __name__ == "__main__":
    main()
