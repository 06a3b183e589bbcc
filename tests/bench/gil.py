"""Where the interpreter's lock begins to bind: a measured step, replayed with more threads than there are.

    python tests/bench/gil.py

A thread's step is a string of NumPy calls. Each holds the lock for a moment (Python itself, checking
arguments) and then computes without it. Two things are measured on one thread: how many calls a step makes,
and how long they take when there is next to nothing to compute, which is the time with the lock. The rest of
a real step is computing, and is shared out among the threads. The replay gives each thread its calls in turn
and one lock to all of them, first come, first served. It leaves out memory bandwidth and clock rates: it
shows the lock's part alone. Without a lock (free-threaded Python) nobody waits: the speed-up is ideal.
"""

from __future__ import annotations

import heapq
import json
import os
import sys
from collections.abc import Callable
from typing import NamedTuple

from harness import options, seconds_of

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from femtotui.core.config import ModelConfig
from femtotui.core.model.gpt import Model
from femtotui.core.model.parameters import initial_parameters
from femtotui.core.training.workers import Workers
from femtotui.presets import load_preset, load_recipe

BATCH = 32
THREADS = (1, 2, 4, 8, 16)
STEPS = 12


class Step(NamedTuple):
    """One thread's step: calls, seconds with the lock, seconds of computing for a whole batch."""

    calls: int
    locked_s: float
    computing_s: float


def measured_step(config: ModelConfig) -> Step:
    """Forward and backward on one thread, and the same with arrays as small as they get."""
    whole = fastest_s(step_of(config, BATCH))
    # The same layers and so the same calls, on one token of the least width.
    heads = config.n_heads
    tiny = ModelConfig(n_layers=config.n_layers, width=heads, n_heads=heads, context=1, vocab_size=2)
    locked = fastest_s(step_of(tiny, 1))
    return Step(count_calls(step_of(tiny, 1)), locked, whole - locked)


def step_of(config: ModelConfig, batch: int) -> Callable[[], object]:
    """A step on random tokens, forward and backward, on one thread."""
    recipe = load_recipe("modern")
    model = Model(config, recipe, initial_parameters(config, recipe.init, 0))
    workers = Workers(model, batch, 1, batch)
    ids = np.random.default_rng(0).integers(0, config.vocab_size, (batch, config.context), np.int32)
    return lambda: workers.loss_and_gradient(ids, ids, 0, 0)


def fastest_s(step: Callable[[], object]) -> float:
    return min(seconds_of(step) for _ in range(STEPS))


def count_calls(step: Callable[[], object]) -> int:
    """Calls in a step, as the interpreter's profiler counts them.

    Half or twice as many change the replay by a hundredth: it is the time with the lock that matters.
    """
    step()
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "c_call"

    sys.setprofile(profile)
    step()
    sys.setprofile(None)
    return count


def replay(step: Step, threads: int) -> float:
    """Seconds until the last of `threads` threads has done its calls on its share of the batch."""
    hold, compute = step.locked_s / step.calls, step.computing_s / threads / step.calls
    free_at, last = 0.0, 0.0
    # Threads start a moment apart, as they do.
    waiting = [(thread * hold / threads, thread, step.calls) for thread in range(threads)]
    heapq.heapify(waiting)
    while waiting:
        ready, thread, left = heapq.heappop(waiting)
        free_at = max(ready, free_at) + hold
        last = max(last, free_at + compute)
        if left > 1:
            heapq.heappush(waiting, (free_at + compute, thread, left - 1))
    return last


def main() -> None:
    """Print one JSON object per entry: the step, and the speed-up with and without a lock."""
    options(__doc__).parse_args()
    for entry in ("10", "2", "5"):
        step = measured_step(load_preset(entry).model)
        alone = step.locked_s + step.computing_s
        ideal = {n: round(alone / (step.locked_s + step.computing_s / n), 2) for n in THREADS}
        times = {"locked_ms": 1e3 * step.locked_s, "computing_ms": 1e3 * step.computing_s}
        figures = {"entry": entry, "calls": step.calls, **{name: round(ms, 3) for name, ms in times.items()}}
        speed_up = {n: round(alone / replay(step, n), 2) for n in THREADS}
        print(json.dumps({**figures, "speed_up": speed_up, "without_a_lock": ideal}), flush=True)


if __name__ == "__main__":
    main()
