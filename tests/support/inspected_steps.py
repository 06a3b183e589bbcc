"""Inspected steps of a healthy model, made up, with figures that a test may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from femtotui.core.events import LayerStatistics, StepInspected, StreamStatistics, TensorStatistics

KINDS = ("attention.qkv.weight", "feed_forward.up.weight", "norm1.gain")


def inspected(
    step: int,
    *,
    n_layers: int = 4,
    carrying: Mapping[int, float] | None = None,
    rms: Mapping[int, float] | None = None,
    gradient: Mapping[int, float] | None = None,
    update: Mapping[int, float] | None = None,
    silent: Mapping[int, float] | None = None,
    entropies: Sequence[float] = (4.6, 2.5),
) -> StepInspected:
    """A step; the mappings change what is found at some depths, of which 0 is the embedding."""
    depths, layers = range(n_layers + 1), range(n_layers)
    tensors = {"token_embedding.weight": TensorStatistics(10.0, 0.5, 0.01)}
    for layer in layers:
        ratio = (update or {}).get(layer + 1, 4e-3)
        tensors |= {f"layers.{layer}.{kind}": TensorStatistics(2.0, 0.1, 2.0 * ratio) for kind in KINDS}
    return StepInspected(
        step=step,
        n_tokens=256,
        streams=tuple(
            StreamStatistics(
                (rms or {}).get(d, 1.0 + d), (carrying or {}).get(d, 28.4), (gradient or {}).get(d, 0.02)
            )
            for d in depths
        ),
        layers=tuple(
            LayerStatistics(tuple(entropies), (silent or {}).get(layer + 1, 0.02), 0.01) for layer in layers
        ),
        tensors=tensors,
    )
