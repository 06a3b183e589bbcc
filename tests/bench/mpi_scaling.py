"""How one model scales over processes: what is measured here, and a model of it for hosts on a network.

A step on N ranks takes

    fixed + batch / N * per_sequence + 2 (N - 1) / N * bytes / bandwidth + 2 ceil(log2 N) * latency

`fixed` (the optimizer, folding, Python) and `per_sequence` come from one rank with the whole and with half
the batch, the bytes are those of the gradient (float32), and the last two terms are what a bandwidth-optimal
Allreduce costs (Thakur, Rabenseifner and Gropp, 2005). Loopback's own latency and bandwidth are measured, so
that the steps of two ranks are a prediction, set beside the measurement.

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
from pathlib import Path

import msgspec

BATCH = 32
RANKS = (1, 2, 4, 8, 16, 32)
MIB = 2**20


class Size(msgspec.Struct, frozen=True):
    """A model to measure, and how many steps of it are enough."""

    name: str
    layers: int
    width: int
    heads: int
    steps: int


class Network(msgspec.Struct, frozen=True):
    """Seconds until the first byte, and bytes a second after that."""

    name: str
    latency_s: float
    bandwidth: float


class Measured(msgspec.Struct, frozen=True):
    """Milliseconds a step: one rank with the whole and half the batch, two ranks; bytes of the gradient."""

    size: Size
    parameters: int
    whole_ms: float
    half_ms: float
    two_ranks_ms: float

    @property
    def gradient_bytes(self) -> int:
        return 4 * self.parameters

    @property
    def per_sequence_ms(self) -> float:
        return (self.whole_ms - self.half_ms) / (BATCH / 2)

    @property
    def fixed_ms(self) -> float:
        return self.whole_ms - BATCH * self.per_sequence_ms


class Results(msgspec.Struct, frozen=True):
    """All that was measured."""

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
    settings = {"layers": size.layers, "width": size.width, "heads": size.heads, "steps": size.steps}
    preset.write_text(PRESET.format(batch=batch, text=text, **settings))
    train = [sys.executable, "-m", "femtotui", "train", str(preset), "--threads", "1", "--json"]
    launched = [mpirun(), "-n", str(ranks), *train, "--mpi"] if ranks > 1 else train
    done = subprocess.run([*launched, "--runs", str(folder / "runs")], capture_output=True, check=True)
    events = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    times = [event["ms"] for event in events if event["event"] == "step_done"][1:]
    return statistics.quantiles(times, n=4, method="inclusive")[0], events[0]["parameters"]


def mpirun() -> str:
    return str(Path(sys.executable).parent / "mpirun")


def measure_loopback() -> Network:
    """From the Allreduce of a few bytes and of many, between two ranks here."""
    done = subprocess.run(
        [mpirun(), "-n", "2", sys.executable, __file__, "--allreduce"], capture_output=True, check=True
    )
    small_s, large_s = (float(word) for word in done.stdout.split())
    # Two ranks: each byte crosses once, and there are two latencies.
    return Network("loopback", small_s / 2, 16 * MIB / (large_s - small_s))


def time_allreduce() -> None:
    """Prints seconds of an Allreduce of 8 bytes and of 16 MiB, waited for as a training does."""
    import numpy as np  # noqa: PLC0415

    from femtotui.mpi.launch import join_world  # noqa: PLC0415

    world = join_world()
    found = []
    for n, rounds in ((2, 400), (4 * MIB, 12)):
        vector, times = np.zeros(n, np.float32), []
        for _ in range(rounds):
            world.wait_for_all()
            begun = now()
            world.add_up(vector, 0.0)
            times.append(now() - begun)
        found.append(statistics.quantiles(times, n=4)[0])
    if world.rank == 0:
        print(*found)


def now() -> float:
    import time  # noqa: PLC0415

    return time.perf_counter()


def predicted_ms(measured: Measured, ranks: int, network: Network) -> float:
    """The model above."""
    compute = measured.fixed_ms + BATCH / ranks * measured.per_sequence_ms
    if ranks == 1:
        return compute
    moved = 2 * (ranks - 1) / ranks * measured.gradient_bytes / network.bandwidth
    return compute + 1e3 * (moved + 2 * math.ceil(math.log2(ranks)) * network.latency_s)


def measure() -> Results:
    loopback = measure_loopback()
    sizes = []
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            whole, parameters = step_ms(size, BATCH, 1, Path(folder))
            half, _ = step_ms(size, BATCH // 2, 1, Path(folder))
            two, _ = step_ms(size, BATCH, 2, Path(folder))
        sizes.append(Measured(size, parameters, whole, half, two))
        if not 1 < whole / half <= 2:
            raise SystemExit(
                f"{size.name}: {whole:.1f} ms with the whole batch and {half:.1f} with half of it cannot be: "
                "this machine is too busy to measure on"
            )
        print(f"{size.name}: {whole:.1f} ms, half the batch {half:.1f}, two ranks {two:.1f}", file=sys.stderr)
    return Results(loopback, tuple(sizes))


def print_tables(results: Results) -> None:
    """Markdown: what was measured beside what the model says, and what it says of networks."""
    loopback = results.loopback
    print(f"Loopback: {loopback.latency_s * 1e6:.0f} µs, {loopback.bandwidth / 1e9:.2f} GB/s.\n")
    print("| model | parameters | 1 rank, ms | fixed + a sequence, ms | 2 ranks, ms | model says | off by |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for m in results.sizes:
        says = predicted_ms(m, 2, loopback)
        parts = f"{m.fixed_ms:.1f} + {m.per_sequence_ms:.2f}"
        off = f"{m.two_ranks_ms / says - 1:+.0%}"
        row = (
            m.size.name,
            f"{m.parameters:,}",
            f"{m.whole_ms:.1f}",
            parts,
            f"{m.two_ranks_ms:.1f}",
            f"{says:.1f}",
        )
        print(f"| {' | '.join(row)} | {off} |")
    for network in NETWORKS:
        print(f"\n{network.name} ({network.latency_s * 1e6:.0f} µs, {network.bandwidth / 1e6:.0f} MB/s):\n")
        print(f"| model | {' | '.join(f'{n} hosts' for n in RANKS[1:])} | best |")
        print(f"| --- {'| --- ' * len(RANKS)}|")
        for m in results.sizes:
            speeds = {
                n: predicted_ms(m, 1, network) / predicted_ms(m, n, network) for n in range(1, BATCH + 1)
            }
            best = max(speeds, key=speeds.__getitem__)
            cells = " | ".join(f"{speeds[n]:.2f}×" for n in RANKS[1:])
            print(f"| {m.size.name} | {cells} | {best} host{'' if best == 1 else 's'}, {speeds[best]:.2f}× |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="keep what was measured in this file")
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
