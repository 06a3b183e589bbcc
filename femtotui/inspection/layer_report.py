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
"""Share of the width: independent normal coordinates give 1/3."""

LEAST_GRADIENT = 0.01
"""Gradient of the stream after a layer, relative to that after the last."""

MOST_UPDATE = {"adamw": 0.03, "muon": 0.1}
"""Update of a layer's matrices relative to them. Muon's have the same size in every direction."""

MOST_RMS = 30.0
MOST_SILENT = 0.6


@dataclass(frozen=True)
class Finding:
    """Something wrong at some depths: what, and why or with what effect, in words of several lengths."""

    depths: tuple[int, ...]
    what: str
    why: tuple[str, ...] = ()

    def words(self, width: float = math.inf) -> str:
        """The longest form that fits into `width` cells, or else the shortest."""
        named = f"{_layers(self.depths)}: {self.what}"
        forms = (f"{named}; {why}" for why in self.why)
        return next((form for form in forms if len(form) <= width), named)


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
    before, e = inspected[-2:][0], inspected[-1]
    depths, width, found = range(1, len(e.streams)), config.model.width, []
    limit = MOST_UPDATE["muon" if isinstance(config.recipe.optimizer, MuonConfig) else "adamw"]
    updates = {depth: min(update_ratio(before, depth), update_ratio(e, depth)) for depth in depths}
    if high := {depth: ratio for depth, ratio in updates.items() if ratio > limit}:
        what = f"update/weight {scientific(max(high.values()))}"
        found.append(Finding(tuple(high), what, ("the learning rate is too high", "rate too high")))
    if large := {depth: e.streams[depth].rms for depth in depths if e.streams[depth].rms > MOST_RMS}:
        what = f"the stream has grown to an RMS of {max(large.values()):.0f}"
        found.append(Finding(tuple(large), what, ("the rate is or was too high", "rate too high")))
    carrying = {depth: e.streams[depth].carrying for depth in depths}
    if few := {depth: n for depth, n in carrying.items() if n < LEAST_CARRYING * width}:
        why = "a few have outgrown the others", "a few dominate"
        if config.recipe.wiring == "journal" and config.recipe.init.gain == "normal":
            why = "the LayerNorm gains start near 0", "gains start near 0"
        counts = sorted(map(round, few.values()))
        found.append(Finding(tuple(few), f"{_span(counts)} of {width} coordinates carry the stream", why))
    last = _gradient(e.streams[-1]) or math.nan
    shares = {depth: _gradient(e.streams[depth]) / last for depth in depths}
    if faint := {depth: share for depth, share in shares.items() if share < LEAST_GRADIENT}:
        what = f"{scientific(min(faint.values()))} of the last layer's gradient arrives"
        found.append(Finding(tuple(faint), what, ("hardly learning",)))
    if silent := {d: e.layers[d - 1].silent for d in depths if e.layers[d - 1].silent >= MOST_SILENT}:
        what = f"{max(silent.values()):.0%} of the feed-forward units never fire"
        found.append(Finding(tuple(silent), what))
    return found


def _span(numbers: Sequence[int]) -> str:
    """`2–10`, or one number."""
    return "–".join(map(str, dict.fromkeys([*numbers[:1], *numbers[-1:]])))


def _layers(depths: Iterable[int]) -> str:
    """`layer 2`, `layers 1–3`, `layers 1, 3–5`."""
    runs = groupby(enumerate(depths), key=lambda pair: pair[1] - pair[0])
    parts = [_span([depth for _, depth in run]) for _, run in runs]
    return f"layer{'' if len(parts) == 1 and parts[0].isdigit() else 's'} {', '.join(parts)}"
