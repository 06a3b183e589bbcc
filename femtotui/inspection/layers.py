"""The layers of a model that trains: figures by depth from inspected steps, and what is wrong, in sentences.

Depth 0 is the embedding, depth i the i-th layer. docs/inspection.md has the measurements behind the limits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from femtotui.core.config import MuonConfig, RunConfig
from femtotui.core.events import StepInspected, StreamStatistics

LEAST_CARRYING = 0.2
"""Share of the width; independent normal coordinates give 1/3, and a third of them is lost below this."""

LEAST_GRADIENT = 0.01
"""Gradient of the stream after a layer, relative to that after the last."""

MOST_UPDATE = {"adamw": 0.03, "muon": 0.1}
"""Update of a layer's matrices relative to them. Muon's have the same size in every direction."""

MOST_RMS = 30.0
MOST_SILENT = 0.6
LEAST_ENTROPY_BITS = 1.0
"""Of all heads of a layer: below, every token looks at one or two others."""


@dataclass(frozen=True)
class Finding:
    """Something wrong at some depths, in a sentence; what comes after a semicolon can be left out."""

    depths: tuple[int, ...]
    words: str


@dataclass(frozen=True)
class Column:
    """A figure by depth: NaN where a depth has none."""

    title: str
    of: Callable[[StepInspected, int], float]
    words: Callable[[float], str]


def scientific(value: float) -> str:
    """`3.1e-3`; `0` for a value that is exactly that."""
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if value and math.isfinite(value) else f"{value:.0f}"


def columns(width: int) -> tuple[Column, ...]:
    """The columns for a model of this width, the most important first."""
    return (
        Column("stream RMS", lambda e, depth: e.streams[depth].rms, lambda v: f"{v:.3g}"),
        Column("carrying", lambda e, depth: e.streams[depth].carrying, lambda v: f"{v:.0f}/{width}"),
        Column("gradient RMS", lambda e, depth: _gradient(e.streams[depth]), scientific),
        Column("update/weight", update_ratio, scientific),
        Column("silent", lambda e, depth: e.layers[depth - 1].silent if depth else math.nan, "{:.0%}".format),
        Column("entropy", _mean_entropy, lambda v: f"{v:.1f} bits"),
    )


def update_ratio(e: StepInspected, depth: int) -> float:
    return (e.of_layer(depth - 1) if depth else e.tensors["token_embedding.weight"]).update_ratio


def _gradient(stream: StreamStatistics) -> float:
    return math.nan if stream.gradient_rms is None else stream.gradient_rms


def _mean_entropy(e: StepInspected, depth: int) -> float:
    entropies = e.layers[depth - 1].entropies if depth else ()
    return math.fsum(entropies) / len(entropies) if entropies else math.nan


def depth_name(depth: int) -> str:
    return f"layer {depth}" if depth else "embedding"


def evenly(steps: Sequence[StepInspected], n: int) -> list[StepInspected]:
    """At most `n` of the inspected steps, evenly chosen, the newest among them."""
    n = min(n, len(steps))
    return [steps[(index + 1) * len(steps) // n - 1] for index in range(n)]


def tensor_rows(e: StepInspected, depth: int) -> Iterator[tuple[str, float, float, float]]:
    """Name, norm, gradient norm and update/weight of a layer's tensors; at depth 0, of those in no layer."""
    prefix = f"layers.{depth - 1}."
    for name, t in e.tensors.items():
        if name.startswith(prefix) if depth else not name.startswith("layers."):
            yield name.removeprefix(prefix), t.norm, t.gradient_norm, t.update_ratio


# -- what is wrong ---------------------------------------------------------------------------------------


def findings(inspected: Sequence[StepInspected], config: RunConfig) -> list[Finding]:
    """What is wrong in the newest step, causes before effects; nothing for a training that goes well.

    An update must be large in the step inspected before it, too: the first steps off a plateau are.
    """
    return [finding for finding in _findings(inspected, config) if finding.depths]


def _findings(inspected: Sequence[StepInspected], config: RunConfig) -> Iterator[Finding]:
    before, e = inspected[-2:][0], inspected[-1]
    depths, width, top = range(1, len(e.streams)), config.model.width, e.streams[-1]

    updates = {depth: min(update_ratio(before, depth), update_ratio(e, depth)) for depth in depths}
    limit = MOST_UPDATE["muon" if isinstance(config.recipe.optimizer, MuonConfig) else "adamw"]
    high = tuple(depth for depth in depths if updates[depth] > limit)
    most = scientific(max((updates[depth] for depth in high), default=0.0))
    yield Finding(high, f"{_layers(high)}: update/weight {most}; the learning rate is too high")

    large = tuple(depth for depth in depths if e.streams[depth].rms > MOST_RMS)
    rms = max((e.streams[depth].rms for depth in large), default=0.0)
    yield Finding(
        large, f"{_layers(large)}: the stream has grown to an RMS of {rms:.0f}; the rate is or was too high"
    )

    few = tuple(depth for depth in depths if e.streams[depth].carrying < LEAST_CARRYING * width)
    counts = sorted({round(e.streams[depth].carrying) for depth in few})
    because = (
        "the LayerNorm gains start near 0" if _gains_near_0(config) else "a few have outgrown the others"
    )
    span = " to ".join(map(str, dict.fromkeys([*counts[:1], *counts[-1:]])))
    yield Finding(few, f"{_layers(few)}: {span} of {width} coordinates carry the stream; {because}")

    faint = tuple(d for d in depths if _gradient(e.streams[d]) < LEAST_GRADIENT * _gradient(top))
    least = min((_gradient(e.streams[depth]) / _gradient(top) for depth in faint), default=0.0)
    yield Finding(
        faint, f"{_layers(faint)}: {scientific(least)} of the last layer's gradient arrives; hardly learning"
    )

    silent = tuple(depth for depth in depths if e.layers[depth - 1].silent >= MOST_SILENT)
    share = max((e.layers[depth - 1].silent for depth in silent), default=0.0)
    yield Finding(silent, f"{_layers(silent)}: {share:.0%} of the feed-forward units never fire")

    narrow = tuple(depth for depth in depths if max(e.layers[depth - 1].entropies) < LEAST_ENTROPY_BITS)
    yield Finding(narrow, f"{_layers(narrow)}: attention has collapsed; a token looks at one or two others")


def _gains_near_0(config: RunConfig) -> bool:
    return config.recipe.wiring == "journal" and config.recipe.init.gain == "normal"


def _layers(depths: Iterable[int]) -> str:
    """`layer 2`, `layers 1 to 3`, `layers 1, 3 to 5`."""
    parts = []
    for _, run in groupby(enumerate(depths), key=lambda pair: pair[1] - pair[0]):
        first, *rest = (depth for _, depth in run)
        parts.append(f"{first} to {rest[-1]}" if rest else str(first))
    is_one = len(parts) == 1 and parts[0].isdigit()
    return f"layer{'' if is_one else 's'} {', '.join(parts)}"
