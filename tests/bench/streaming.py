"""What a streaming sample costs the training beside it: `python tests/bench/streaming.py [SECONDS]`.

Entry 2 trains in its own process. In turns, this process does nothing, and streams one sample after another
from the newest snapshot as the app does; the medians of the steps' times are compared, turn by turn.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from femtotui.environment import limit_blas_threads

limit_blas_threads()

from femtotui.commands import Snapshot, Start  # noqa: E402
from femtotui.core.events import RunStarted, StepDone  # noqa: E402
from femtotui.live_model import LiveModel  # noqa: E402
from femtotui.presets import load_preset, run_config  # noqa: E402
from femtotui.sampling import Piece, SampleTask, draw, stream  # noqa: E402
from femtotui.trainer import EventsArrived, SnapshotArrived, Trainer, TrainerMessage  # noqa: E402

TURN_SECONDS = 1.5


class Watch:
    """Sorts the steps' times by what this process did meanwhile."""

    def __init__(self) -> None:
        self.streams = False
        self.ms: list[float] = []
        self.started: RunStarted | None = None
        self.snapshot: SnapshotArrived | None = None
        self.ready = threading.Event()

    def hear(self, message: TrainerMessage) -> None:
        if isinstance(message, SnapshotArrived):
            self.snapshot = message
            self.ready.set()
        elif isinstance(message, EventsArrived):
            for event in message.events:
                if isinstance(event, RunStarted):
                    self.started = event
                elif isinstance(event, StepDone):
                    self.ms.append(event.ms)

    def turn(self, until: float) -> float:
        """The median time of a step from now until then, streaming or not."""
        self.ms.clear()
        n_tokens = 0
        while time.monotonic() < until:
            if self.streams and self.started is not None and self.snapshot is not None:
                model = LiveModel(Path(self.started.run), self.started.config, self.snapshot)
                task = SampleTask(model, b"\n", 0)
                pieces: list[Piece] = []
                stream(
                    lambda task=task: draw(task), pieces.append, lambda: time.monotonic() > until, gently=True
                )
                n_tokens += sum(len(piece.tokens) for piece in pieces)
            else:
                time.sleep(0.05)
        return statistics.median(self.ms)


def main() -> None:
    """Print the cost of streaming, in per cent of a step."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    watch = Watch()
    trainer = Trainer(watch.hear)
    with tempfile.TemporaryDirectory() as runs:
        trainer.send(Start(config=run_config(load_preset("2"), steps=1_000_000), runs=runs))
        while watch.started is None or len(watch.ms) < 50:
            time.sleep(0.1)
        trainer.send(Snapshot())
        watch.ready.wait()
        costs = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            times = {}
            for watch.streams in (False, True):
                times[watch.streams] = watch.turn(time.monotonic() + TURN_SECONDS)
            costs.append(times[True] / times[False] - 1)
        trainer.close()
    print(f"steps beside a streaming sample: {statistics.median(costs):+.1%} (median of {len(costs)} turns)")


if __name__ == "__main__":
    main()
