"""Scaling of one model over processes: measurements here, and a model of it for hosts on a network.

A step on N ranks takes

    fixed + batch / N * per_sequence + 2 (N - 1) / N * bytes / bandwidth + 2 ceil(log2 N) * latency

`fixed` (the optimizer, folding, Python) and `per_sequence` come from one rank with the whole and with half
the batch, the bytes are those of the gradient (float32), and the last two terms are the cost of a
bandwidth-optimal Allreduce (Thakur, Rabenseifner and Gropp, 2005). Loopback's own latency and bandwidth are
measured, so that the steps of two ranks are a prediction, set beside the measurement.

    python tests/bench/mpi_scaling.py --json scaling.json     measures, on a quiet machine, and prints tables
    python tests/bench/mpi_scaling.py --from scaling.json     prints them again
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from harness import markdown_table, options

BATCH = 32
RANKS = (1, 2, 4, 8, 16, 32)
MIB = 2**20
MPIRUN = str(Path(sys.executable).parent / "mpirun")


class Size(msgspec.Struct, frozen=True):
    """A model to measure, and how many steps of it are enough."""

    name: str
    layers: int
    width: int
    heads: int
    steps: int


class Network(msgspec.Struct, frozen=True):
    """Seconds until the first byte, and bytes per second after that."""

    name: str
    latency_s: float
    bandwidth: float

    def __str__(self) -> str:
        return f"{self.name} ({self.latency_s * 1e6:.0f} µs, {self.bandwidth / 1e6:,.0f} MB/s)"


class Measured(msgspec.Struct, frozen=True):
    """Milliseconds per step: one rank with the whole and with half the batch, and two ranks."""

    size: Size
    parameters: int
    whole_ms: float
    half_ms: float
    two_ranks_ms: float

    @property
    def per_sequence_ms(self) -> float:
        return (self.whole_ms - self.half_ms) / (BATCH / 2)

    @property
    def fixed_ms(self) -> float:
        return self.whole_ms - BATCH * self.per_sequence_ms

    def predicted_ms(self, ranks: int, network: Network) -> float:
        """The model above."""
        compute = self.fixed_ms + BATCH / ranks * self.per_sequence_ms
        if ranks == 1:
            return compute
        moved = 2 * (ranks - 1) / ranks * 4 * self.parameters / network.bandwidth
        return compute + 1e3 * (moved + 2 * math.ceil(math.log2(ranks)) * network.latency_s)


class Results(msgspec.Struct, frozen=True):
    """All measurements."""

    loopback: Network
    sizes: tuple[Measured, ...]


SIZES = (
    Size("entry 10", 4, 32, 2, 150),
    Size("entry 2", 4, 64, 4, 100),
    Size("entry 5", 8, 256, 8, 16),
    Size("40M", 12, 512, 8, 5),
)
NETWORKS = (
    Network("gigabit Ethernet", 100e-6, 117e6),
    Network("10-gigabit Ethernet", 30e-6, 1.17e9),
    Network("laptop Wi-Fi", 3e-3, 30e6),
)

PRESET = """\
key = "scaling"
title = "for measuring"
steps = {steps}
batch = {batch}
recipe = "modern"
model = {{ n_layers = {layers}, width = {width}, n_heads = {heads}, context = 64 }}
tokenizer = {{ kind = "byte" }}
data = {{ source = "files", paths = ["{text}"] }}
"""


def step_ms(size: Size, batch: int, ranks: int, folder: Path) -> tuple[float, int]:
    """The lower quartile of a run's steps, which a busy moment does not move; and its parameters."""
    preset, text = folder / "preset.toml", folder / "text.txt"
    text.write_text("bacedi;\nhokuba;\ngifude;\n" * 400)
    preset.write_text(PRESET.format(batch=batch, text=text, **msgspec.structs.asdict(size)))
    train = [sys.executable, "-m", "femtotui", "train", str(preset), "--threads", "1", "--json"]
    launched = [MPIRUN, "-n", str(ranks), *train, "--mpi"] if ranks > 1 else train
    done = subprocess.run([*launched, "--runs", str(folder / "runs")], capture_output=True, check=True)
    events = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    times = [event["ms"] for event in events if event["event"] == "step_done"][1:]
    return statistics.quantiles(times, n=4, method="inclusive")[0], events[0]["parameters"]


def measure_loopback() -> Network:
    """From the Allreduce of a few bytes and of many, between two ranks here."""
    command = [MPIRUN, "-n", "2", sys.executable, __file__, "--allreduce"]
    done = subprocess.run(command, capture_output=True, check=True)
    small_s, large_s = (float(word) for word in done.stdout.split())
    # Two ranks: each byte crosses once, and there are two latencies.
    return Network("loopback", small_s / 2, 16 * MIB / (large_s - small_s))


def time_allreduce() -> None:
    """Print seconds of an Allreduce of 8 bytes and of 16 MiB, waited for as in training."""
    import numpy as np  # noqa: PLC0415

    from femtotui.mpi.launch import join_world  # noqa: PLC0415

    world = join_world()
    found = []
    for n, rounds in ((2, 400), (4 * MIB, 12)):
        vector, times = np.zeros(n, np.float32), []
        for _ in range(rounds):
            world.wait_for_all()
            begun = time.perf_counter()
            world.add_up(vector, 0.0)
            times.append(time.perf_counter() - begun)
        found.append(statistics.quantiles(times, n=4)[0])
    if world.rank == 0:
        print(*found)


def measure() -> Results:
    loopback, sizes = measure_loopback(), []
    for size in SIZES:
        shapes = ((BATCH, 1), (BATCH // 2, 1), (BATCH, 2))
        with tempfile.TemporaryDirectory() as folder:
            found = [step_ms(size, batch, ranks, Path(folder)) for batch, ranks in shapes]
        (whole, parameters), (half, _), (two, _) = found
        print(f"{size.name}: {whole:.1f} ms, half the batch {half:.1f}, two ranks {two:.1f}", file=sys.stderr)
        if not 1 < whole / half <= 2:
            raise SystemExit("half the batch cannot take that long: this machine is too busy to measure on")
        sizes.append(Measured(size, parameters, whole, half, two))
    return Results(loopback, tuple(sizes))


def print_tables(results: Results) -> None:
    """Markdown: the measurements beside the model's predictions, and its predictions for networks."""
    loopback = results.loopback
    print(f"Loopback: {loopback.latency_s * 1e6:.0f} µs, {loopback.bandwidth / 1e9:.2f} GB/s.\n")
    rows = [
        ["model", "parameters", "1 rank, ms", "fixed + sequence, ms", "2 ranks, ms", "predicted", "off by"]
    ]
    for m in results.sizes:
        predicted, split = m.predicted_ms(2, loopback), f"{m.fixed_ms:.1f} + {m.per_sequence_ms:.2f}"
        figures = [f"{m.whole_ms:.1f}", split, f"{m.two_ranks_ms:.1f}", f"{predicted:.1f}"]
        rows.append([m.size.name, f"{m.parameters:,}", *figures, f"{m.two_ranks_ms / predicted - 1:+.0%}"])
    print(markdown_table(rows))
    for network in NETWORKS:
        print(f"\n{network}:\n")
        rows = [["model", *(f"{n} hosts" for n in RANKS[1:]), "best"]]
        for m in results.sizes:
            times = {n: m.predicted_ms(n, network) for n in range(1, BATCH + 1)}
            speeds = {n: times[1] / ms for n, ms in times.items()}
            best = max(speeds, key=speeds.__getitem__)
            at_best = f"{best} host{'' if best == 1 else 's'}, {speeds[best]:.2f}×"
            rows.append([m.size.name, *(f"{speeds[n]:.2f}×" for n in RANKS[1:]), at_best])
        print(markdown_table(rows))


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--json", type=Path, help="keep the measurements in this file")
    parser.add_argument("--from", dest="source", type=Path, help="measure nothing, read such a file")
    parser.add_argument("--allreduce", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.allreduce:
        time_allreduce()
        return
    results = msgspec.json.decode(asked.source.read_bytes(), type=Results) if asked.source else measure()
    if asked.json:
        asked.json.write_bytes(msgspec.json.encode(results))
    print_tables(results)


if __name__ == "__main__":
    main()
