"""Cost of Muon's update, as a share of a training step.

    python tests/bench/muon_share.py --preset 2 5 --rounds 5

Two measures, taken in turn so that both see the same machine. `update`: the time inside the optimizer's own
step, as a share of the whole step. `against AdamW`: how much longer a step is than with AdamW for everything.
The targets are those of the update.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING

from harness import in_turn, options, positive, show

from femtotui.blas.kernel import prepare_blas

if TYPE_CHECKING:
    from femtotui.core.training.training import Training

TARGETS = {"2": 0.15, "5": 0.40}
WARMUP = 3


@dataclass(frozen=True)
class Share:
    """Medians over all rounds; milliseconds per step, and shares of a step with Muon."""

    preset: str
    muon_ms: float
    adamw_ms: float
    update_ms: float
    update_share: float
    more_than_adamw: float
    target: float | None

    @property
    def line(self) -> str:
        target = ""
        if self.target is not None:
            verdict = "met" if self.update_share <= self.target else "MISSED"
            target = f"   target {self.target:.0%}: {verdict}"
        return (
            f"{self.preset:>2} {self.muon_ms:9.2f} {self.adamw_ms:9.2f} {self.update_ms:10.2f} "
            f"{self.update_share:8.1%} {self.more_than_adamw:14.1%}{target}"
        )


class TimedOptimizer:
    """An optimizer that remembers how long its last step took."""

    def __init__(self, training: Training) -> None:
        self._optimizer = training._optimizer
        self.seconds = 0.0
        training._optimizer = self

    def __getattr__(self, name: str) -> object:
        return getattr(self._optimizer, name)

    def step(self, *arguments: object) -> None:
        start = time.perf_counter()
        self._optimizer.step(*arguments)
        self.seconds = time.perf_counter() - start


def measure(preset: str, rounds: int, steps: int) -> Share:
    """Time steps with Muon and with AdamW in turn."""
    from femtotui.cli.bench import bench_orders  # noqa: PLC0415  (loads NumPy: BLAS is settled by now)
    from femtotui.cli.step_timer import begin_training  # noqa: PLC0415

    settings = {"recipe": "modern", "steps": steps, "threads": None, "chunk": None}
    muon, adamw = (
        begin_training(bench_orders([preset], optimizer=optimizer, **settings)[0].config)
        for optimizer in (None, "adamw")
    )
    timed = TimedOptimizer(muon)
    for _ in range(WARMUP):
        muon.advance()
        adamw.advance()
    with_muon, with_adamw = in_turn(
        rounds,
        lambda: [(muon.advance().ms, 1e3 * timed.seconds) for _ in range(steps)],
        lambda: [adamw.advance().ms for _ in range(steps)],
    )
    whole, update = zip(*chain(*with_muon), strict=True)
    muon_ms, adamw_ms = median(whole), median(chain(*with_adamw))
    muon.close()
    adamw.close()
    return Share(
        preset=preset,
        muon_ms=round(muon_ms, 3),
        adamw_ms=round(adamw_ms, 3),
        update_ms=round(median(update), 3),
        update_share=round(median(part / step for part, step in zip(update, whole, strict=True)), 4),
        more_than_adamw=round(1 - adamw_ms / muon_ms, 4),
        target=TARGETS.get(preset),
    )


def main() -> None:
    parser = options(__doc__, presets=["2", "5"], rounds=5, as_json=True)
    parser.add_argument("--steps", type=positive, default=10, help="steps of each in a round")
    asked = parser.parse_args()
    prepare_blas()
    if not asked.json:
        print(" #   Muon ms  AdamW ms  update ms   update   against AdamW", flush=True)
    for preset in asked.preset:
        show(measure(preset, asked.rounds, asked.steps), asked.json)


if __name__ == "__main__":
    main()
