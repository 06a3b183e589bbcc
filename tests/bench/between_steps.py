"""Where a headless training's time goes: its steps, and what happens between them.

    python tests/bench/between_steps.py --preset 2 --steps 2500

What ends in an event counts for that event: validation, samples, checkpoints, quick scores. The thorough
score at the end of a run is shown by itself, beside the rest and not in it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from queue import SimpleQueue

from femtotui.blas.kernel import limit_blas_threads, prepare_blas

prepare_blas()
limit_blas_threads()

from femtotui.core.events import Event, ScoreDone, StepDone  # noqa: E402
from femtotui.presets import load_preset, run_config  # noqa: E402
from femtotui.trainer.session import prepare  # noqa: E402

STEPS, REST, THOROUGH = "steps", "recording, memory and messages", "the thorough score at the end"
NAMES = {"EvalDone": "validation", "SampleDone": "samples", "CheckpointSaved": "checkpoints"}


def name_of(event: Event) -> str:
    if isinstance(event, ScoreDone):
        return THOROUGH if event.thorough else "quick scores"
    return NAMES.get(type(event).__name__, REST)


def measure(preset: str, steps: int, runs: Path) -> tuple[Counter[str], Counter[str]]:
    """Seconds and numbers by name, from the first step on."""
    seconds: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    before: float | None = None
    for event in prepare(run_config(load_preset(preset), steps=steps), runs).record(SimpleQueue()):
        now = time.perf_counter()
        if isinstance(event, StepDone):
            seconds[STEPS] += event.ms / 1e3
            numbers[STEPS] += 1
            numbers[REST] += 1
            if before is not None:
                seconds[REST] += now - before - event.ms / 1e3
        elif before is not None:
            name = name_of(event)
            seconds[name] += now - before
            numbers[name] += name != REST
        before = now
    return seconds, numbers


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--preset", nargs="+", default=["2"])
    parser.add_argument("--steps", type=int, default=2500)
    chosen = parser.parse_args()
    for preset in chosen.preset:
        with tempfile.TemporaryDirectory() as runs:
            seconds, numbers = measure(preset, chosen.steps, Path(runs))
        last = seconds.pop(THOROUGH, 0.0)
        whole = sum(seconds.values())
        print(f"#{preset}, {numbers[STEPS]:,} steps in {whole:.1f} s, and {last:.1f} s for {THOROUGH}")
        for name, spent in seconds.most_common():
            print(f"  {name:34}{numbers[name]:7,} times {spent:8.2f} s {spent / whole:7.2%}")


if __name__ == "__main__":
    main()
