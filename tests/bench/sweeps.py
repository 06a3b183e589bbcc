"""Twelve runs in a sweep on two local workers, beside two independent `femtotui train` processes.

Both are timed from the command to its end, in turn. The sweep's time holds its start and end, and twelve
times what each run costs beside its steps; that of the independent processes holds it twice.

    python tests/bench/sweeps.py --preset 2 --steps 600 --rounds 2
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS, WORKERS = 12, 2


def femtotui(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "femtotui", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def timed(processes: list[subprocess.Popen[bytes]], begun: float) -> float:
    """Seconds until all have ended well."""
    if any(process.wait() for process in processes):
        raise SystemExit("a training failed: try its command by hand")
    return time.perf_counter() - begun


def independent(preset: str, steps: int, folder: str) -> float:
    """Steps a second of two trainings side by side."""
    begun = time.perf_counter()
    both = [
        femtotui(
            "train", preset, "--steps", str(steps), "--seed", str(seed), "--threads", "1", "--runs", folder
        )
        for seed in range(WORKERS)
    ]
    return WORKERS * steps / timed(both, begun)


def swept(preset: str, steps: int, folder: str) -> float:
    """Steps a second of a sweep of twelve."""
    begun = time.perf_counter()
    workers = ("--workers", str(WORKERS), "--threads", "1")
    sweep = femtotui("sweep", preset, "--steps", str(steps), "--seeds", str(RUNS), *workers, "--runs", folder)
    return RUNS * steps / timed([sweep], begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="10")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    shares = []
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            alone = independent(asked.preset, asked.steps, str(Path(folder) / "alone"))
            sweep = swept(asked.preset, asked.steps, str(Path(folder) / "sweep"))
        shares.append(sweep / alone)
        print(f"independent {alone:.1f} steps/s, sweep {sweep:.1f} steps/s: {sweep / alone:.0%}", flush=True)
    print(f"median share: {statistics.median(shares):.0%}")


if __name__ == "__main__":
    main()
