"""What Muon's update costs, as a share of a training step.

    python tests/bench/muon_share.py --preset 2 5 --rounds 5

Two measures, taken in turn so that both see the same machine. `update`: the time inside the optimizer's own
step, as a share of the whole step. `against AdamW`: how much longer a step is than with AdamW for everything.
The targets are those of the update.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from femtotui.blas.kernel import prepare_blas

if TYPE_CHECKING:
    from femtotui.core.training.training import Training

TARGETS = {"2": 0.15, "5": 0.40}
WARMUP = 3


@dataclass(frozen=True)
class Share:
    """Medians over all rounds; milliseconds a step, and shares of a step with Muon."""

    preset: str
    muon_ms: float
    adamw_ms: float
    update_ms: float
    update_share: float
    more_than_adamw: float
    target: float | None


class TimedOptimizer:
    """An optimizer that notes how long its steps take."""

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
    """Times steps with Muon and with AdamW in turn."""
    from femtotui.cli.bench import bench_orders  # noqa: PLC0415  (loads NumPy: BLAS is settled by now)

    options = {"recipe": "modern", "steps": steps, "threads": None, "chunk": None}
    muon, adamw = (
        _training(bench_orders([preset], optimizer=optimizer, **options)[0]) for optimizer in (None, "adamw")
    )
    timed = TimedOptimizer(muon)
    whole, update, plain = [], [], []
    for _ in range(WARMUP):
        muon.advance()
        adamw.advance()
    for _ in range(rounds):
        for _ in range(steps):
            whole.append(muon.advance().ms)
            update.append(timed.seconds * 1e3)
        plain += [adamw.advance().ms for _ in range(steps)]
    shares = [part / step for part, step in zip(update, whole, strict=True)]
    muon_ms, adamw_ms = statistics.median(whole), statistics.median(plain)
    muon.close()
    adamw.close()
    return Share(
        preset=preset,
        muon_ms=round(muon_ms, 3),
        adamw_ms=round(adamw_ms, 3),
        update_ms=round(statistics.median(update), 3),
        update_share=round(statistics.median(shares), 4),
        more_than_adamw=round(1 - adamw_ms / muon_ms, 4),
        target=TARGETS.get(preset),
    )


def _training(order) -> Training:
    from femtotui.cli.step_timer import _training as begin  # noqa: PLC0415

    return begin(order.config)


def _line(share: Share) -> str:
    target = ""
    if share.target is not None:
        verdict = "met" if share.update_share <= share.target else "MISSED"
        target = f"   target {share.target:.0%}: {verdict}"
    return (
        f"{share.preset:>2} {share.muon_ms:9.2f} {share.adamw_ms:9.2f} {share.update_ms:10.2f} "
        f"{share.update_share:8.1%} {share.more_than_adamw:14.1%}{target}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--preset", nargs="+", default=["2", "5"], metavar="KEY")
    parser.add_argument("--rounds", type=int, default=5, help="how often the two change places")
    parser.add_argument("--steps", type=int, default=10, help="steps of each in a round")
    parser.add_argument("--json", action="store_true", help="one JSON object a preset")
    arguments = parser.parse_args()
    prepare_blas()
    if not arguments.json:
        print(" #   Muon ms  AdamW ms  update ms   update   against AdamW", flush=True)
    for preset in arguments.preset:
        share = measure(preset, arguments.rounds, arguments.steps)
        print(json.dumps(asdict(share)) if arguments.json else _line(share), flush=True)


if __name__ == "__main__":
    main()
