"""Milliseconds per step against each dimension of a model, with the exponents between neighbours.

    python tests/bench/scaling.py --out docs/scaling.svg

Everything else stays at the base: 4 layers, width 64, heads of 16, context 64, batch 32, vocabulary 256.
Beside each measured exponent stands that of the arithmetic alone. The model trains on random tokens.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from harness import FAINT, QUIET, Axis, dot, line, options, picture, show, text

from femtotui.blas.kernel import prepare_blas

prepare_blas()

import numpy as np  # noqa: E402
from msgspec.structs import replace  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from femtotui.cli.step_timer import step_gflop, time_steps  # noqa: E402
from femtotui.core.config import ModelConfig  # noqa: E402
from femtotui.core.machine import blas_description, describe_machine  # noqa: E402
from femtotui.core.training.batches import Source  # noqa: E402
from femtotui.core.training.training import Training  # noqa: E402
from femtotui.presets import load_preset, run_config  # noqa: E402

BASE = {"layers": 4, "width": 64, "context": 64, "batch": 32, "vocab": 256}
VALUES = {
    "width": (32, 64, 128, 256, 512),
    "layers": (1, 2, 4, 8, 16),
    "context": (32, 64, 128, 256, 512, 1024),
    "batch": (1, 4, 16, 32, 64, 128, 256, 512),
    "vocab": (64, 256, 1024, 4096, 8192),
}
HEAD_SIZE = 16
TEXT_TOKENS = 50_000
WARM_UP, LEAST_STEPS, MOST_STEPS = 2, 5, 60

PANEL_WIDTH, PANEL_HEIGHT, COLUMNS, HEADER = 300, 230, 3, 46
LEFT, RIGHT, TOP, BOTTOM = 52, PANEL_WIDTH - 22, 34, PANEL_HEIGHT - 30
MEASURED, EXPECTED = "#0b6e99", "#b9b9b9"


@dataclass(frozen=True)
class Point:
    """One model size: the value of the dimension, milliseconds per step, and its arithmetic in GFLOP."""

    value: int
    ms: float
    gflop: float


@dataclass(frozen=True)
class Series:
    """The measurements along one dimension, the others held at those of the base."""

    name: str
    points: tuple[Point, ...]

    @property
    def line(self) -> str:
        values = [point.value for point in self.points]
        measured = exponents(values, [point.ms for point in self.points])
        expected = exponents(values, [point.gflop for point in self.points])
        grown = [f"{m:8.2f} {e:10.2f}" for m, e in zip(measured, expected, strict=True)]
        return "\n".join(
            f"{self.name:<8} {p.value:6,} {p.ms:10.2f} {p.gflop / p.ms * 1e3:8.0f}   {growth}"
            for p, growth in zip(self.points, ["", *grown], strict=True)
        )


class RandomTokens:
    """As much of a tokenizer as training needs: every byte becomes some token."""

    kind = "byte"

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size

    def encode(self, text: bytes) -> NDArray[np.int32]:
        return np.random.default_rng(0).integers(0, self.vocab_size, len(text), np.int32)

    def decode(self, ids: Iterable[int]) -> bytes:
        return b"".join(b"?" for token_id in ids if 0 <= token_id < self.vocab_size)


def measure(name: str, value: int, seconds: float) -> Point:
    """The median step of a model of the base's sizes but one."""
    training = begin_training({**BASE, name: value})
    try:
        first = time_steps(training, 1, WARM_UP)[0]
        steps = max(LEAST_STEPS, min(MOST_STEPS, round(seconds * 1e3 / first)))
        ms = statistics.median(time_steps(training, steps, 0))
        return Point(value, ms, step_gflop(training.config.model, training.config.train.batch))
    finally:
        training.close()


def begin_training(sizes: dict[str, int]) -> Training:
    data = bytes(TEXT_TOKENS)
    source = Source("random tokens", data, data[:5000], (), "", None, None)
    width, n_heads = sizes["width"], sizes["width"] // HEAD_SIZE
    base = run_config(load_preset("2"), recipe="modern")
    config = replace(
        base,
        model=ModelConfig(sizes["layers"], width, n_heads, sizes["context"], sizes["vocab"]),
        recipe=replace(base.recipe, fresh_data=False),
        train=replace(base.train, batch=sizes["batch"]),
    )
    return Training(config, source, RandomTokens(sizes["vocab"]))


def exponents(values: Sequence[float], costs: Sequence[float]) -> list[float]:
    """Growth of the cost between neighbours: the p of cost ~ value^p."""
    logs = [(math.log(value), math.log(cost)) for value, cost in zip(values, costs, strict=True)]
    return [(cost - c) / (value - v) for (v, c), (value, cost) in pairwise(logs)]


def chart(all_series: Sequence[Series], title: str) -> str:
    """A log-log panel per dimension. Solid: measured. Dashed: the arithmetic, at the series' best rate."""
    legend = "solid: measured, with the exponent between neighbours; dashed: its arithmetic at the best rate"
    panels = []
    for i, series in enumerate(all_series):
        x, y = i % COLUMNS * PANEL_WIDTH, HEADER + i // COLUMNS * PANEL_HEIGHT
        panels.append(f'<g transform="translate({x} {y})">{panel(series)}</g>')
    height = HEADER + -(-len(all_series) // COLUMNS) * PANEL_HEIGHT
    words = [text(14, 20, title, size=13), text(14, 36, legend, fill=QUIET)]
    return picture(COLUMNS * PANEL_WIDTH, height, [*words, *panels])


def panel(series: Series) -> str:
    values = [point.value for point in series.points]
    times = [point.ms for point in series.points]
    best = min(point.ms / point.gflop for point in series.points)
    arithmetic = [point.gflop * best for point in series.points]
    low = math.floor(math.log10(min(times + arithmetic)))
    high = math.ceil(math.log10(max(times + arithmetic) * 1.001))
    xs = list(map(Axis(LEFT, RIGHT, values[0], values[-1], logarithmic=True).at, values))
    y = Axis(BOTTOM, TOP, 10.0**low, 10.0**high, logarithmic=True).at
    parts = [text(LEFT, 22, f"ms per step against {series.name}", size=12)]
    for tick in (10**k for k in range(low, high + 1)):
        parts.append(line([(LEFT, y(tick)), (RIGHT, y(tick))], FAINT))
        parts.append(text(LEFT - 6, y(tick) + 4, f"{tick:g}", anchor="end"))
    parts += [text(x, PANEL_HEIGHT - 10, str(v), anchor="middle") for x, v in zip(xs, values, strict=True)]
    parts.append(line([(x, y(ms)) for x, ms in zip(xs, arithmetic, strict=True)], EXPECTED, dashed=True))
    parts.append(line([(x, y(ms)) for x, ms in zip(xs, times, strict=True)], MEASURED, width=2))
    parts += [dot(x, y(ms), MEASURED, radius=2.6) for x, ms in zip(xs, times, strict=True)]
    for i, exponent in enumerate(exponents(values, times)):
        x, middle = (xs[i] + xs[i + 1]) / 2, math.sqrt(times[i] * times[i + 1])
        parts.append(text(x, y(middle) - 8, f"{exponent:.2f}", anchor="end", fill=MEASURED, size=10))
    return "".join(parts)


def main() -> None:
    parser = options(__doc__, seconds=2.0, as_json=True)
    parser.add_argument("--only", nargs="+", choices=VALUES, default=list(VALUES), metavar="DIMENSION")
    parser.add_argument("--out", type=Path, help="write a chart to this file (SVG)")
    asked = parser.parse_args()
    if not asked.json:
        print("dimension value  ms per step GFLOP/s   exponent  arithmetic", flush=True)
    all_series = []
    for name in asked.only:
        all_series.append(Series(name, tuple(measure(name, value, asked.seconds) for value in VALUES[name])))
        show(asked.json, all_series[-1].line, **asdict(all_series[-1]))
    if asked.out:
        base = ", ".join(f"{name} {value}" for name, value in BASE.items())
        title = f"Base: {base}. {describe_machine()}, {blas_description()}"
        asked.out.write_text(chart(all_series, title), encoding="utf-8")


if __name__ == "__main__":
    main()
