"""Where the time of a headless training goes: its steps, and the work between them.

    python tests/bench/between_steps.py --preset 2 --steps 2500

Time before an event counts for that event: validation, samples, checkpoints, quick scores. The thorough
score at the end of a run is shown beside the rest and not in it. The optimizer's own time is a part of the
steps; what Muon costs beside AdamW for everything, `femtotui bench --optimizer adamw` shows.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path
from queue import SimpleQueue

from harness import options, positive

from femtotui.blas.kernel import limit_blas_threads, prepare_blas

prepare_blas()
limit_blas_threads()

from femtotui.core.events import Event, ScoreDone, StepDone  # noqa: E402
from femtotui.presets import load_preset, run_config  # noqa: E402
from femtotui.trainer.session import prepare  # noqa: E402

OPTIMIZER = "the optimizer, within the steps"
STEPS, REST, THOROUGH = "steps", "recording, memory and messages", "the thorough score at the end"
NAMES = {"EvalDone": "validation", "SampleDone": "samples", "CheckpointSaved": "checkpoints"}


def name_of(event: Event) -> str:
    if isinstance(event, ScoreDone):
        return THOROUGH if event.thorough else "quick scores"
    return NAMES.get(type(event).__name__, REST)


def measure(preset: str, steps: int, runs: Path) -> tuple[Counter[str], Counter[str]]:
    """Seconds and counts by name, from the first step on."""
    seconds: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    before: float | None = None
    session = prepare(run_config(load_preset(preset), steps=steps), runs)
    optimizer = session.training._optimizer
    update = optimizer.step

    def timed(*arguments: object) -> None:
        began = time.perf_counter()
        update(*arguments)
        seconds[OPTIMIZER] += time.perf_counter() - began

    optimizer.step = timed
    for event in session.record(SimpleQueue()):
        now = time.perf_counter()
        if isinstance(event, StepDone):
            seconds[STEPS] += event.ms / 1e3
            counts[STEPS] += 1
            counts[REST] += 1
            if before is not None:
                seconds[REST] += now - before - event.ms / 1e3
        elif before is not None:
            name = name_of(event)
            seconds[name] += now - before
            counts[name] += name != REST
        before = now
    return seconds, counts


def main() -> None:
    parser = options(__doc__, presets=["2"])
    parser.add_argument("--steps", type=positive, default=2500)
    asked = parser.parse_args()
    for preset in asked.preset:
        with tempfile.TemporaryDirectory() as runs:
            seconds, counts = measure(preset, asked.steps, Path(runs))
        last, optimizer = seconds.pop(THOROUGH, 0.0), seconds.pop(OPTIMIZER)
        whole = sum(seconds.values())
        print(f"#{preset}, {counts[STEPS]:,} steps in {whole:.1f} s, and {last:.1f} s for {THOROUGH}")
        for name, spent in seconds.most_common():
            print(f"  {name:34}{counts[name]:7,} times {spent:8.2f} s {spent / whole:7.2%}")
        print(f"  {OPTIMIZER:34} {optimizer:21.2f} s {optimizer / seconds[STEPS]:7.2%} of them")


if __name__ == "__main__":
    main()
