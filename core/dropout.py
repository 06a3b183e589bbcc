"""Dropout masks as a pure function of seed, step and sequence.

No state is kept: a resumed run draws what it would have drawn, whatever the threads and chunks are.
"""

from __future__ import annotations

import numpy as np

from .layers import dropout_mask
from .workspace import Workspace


def draw_masks(ws: Workspace, dropout: float, seed: int, step: int, first_sequence: int) -> None:
    """Fill the masks in `ws`; its first sequence is number `first_sequence` of the batch."""
    if ws.embedding_mask_ND is None:
        return
    per_sequence = [mask.reshape(ws.b, -1) for mask in _masks(ws)]
    for i in range(ws.b):
        bits = np.random.Philox(key=[seed, 2], counter=[0, 0, first_sequence + i, step])
        rng = np.random.Generator(bits)
        for mask in per_sequence:
            rng.random(out=mask[i], dtype=mask.dtype.type)
    for mask in per_sequence:
        dropout_mask(mask, dropout)


def _masks(ws: Workspace) -> list[np.ndarray]:
    masks = [] if ws.embedding_mask_ND is None else [ws.embedding_mask_ND]
    for cache in ws.layers:
        if cache.masks is not None:
            masks += [cache.masks.attention_BHTT, cache.masks.projection_ND, cache.masks.down_ND]
    return masks
