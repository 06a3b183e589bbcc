"""Batches: a source's text as ids, and random windows of it for each step.

They are a function of seed and step, so that resuming a run needs no stored random state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..config import RunConfig
from ..errors import DataError
from ..events import Baselines
from ..tokenizers import Tokenizer
from .baselines import measure_baselines

_OFFSETS_KEY = 0x6F66_6673_6574_7300
"""Separates the random numbers of offsets from others with the same seed."""


@dataclass(frozen=True)
class Source:
    """Training and validation text, and its origin.

    `notes` must be shown to the user, `command` is a shell command that creates the training text, `floor`
    is the lowest possible loss on the validation text (nats per byte; synthetic sources only), and `fresh(k)`
    generates block k = 0, 1, ... of endless training text, as a function of k.
    """

    name: str
    train: bytes
    validation: bytes
    notes: tuple[str, ...] = ()
    command: str = ""
    floor: float | None = None
    fresh: Callable[[int], bytes] | None = None

    @cached_property
    def sha256(self) -> str:
        """The checksum of the training text followed by the validation text."""
        return hashlib.sha256(self.train + self.validation).hexdigest()


class Batches:
    """Training batches by step, and the validation windows.

    `train_ids_N` and `validation_ids_N` are the whole text as ids; `validation_inputs_WT` and
    `validation_targets_WT` are at most `eval_windows` windows, evenly spaced; `bytes_per_token` is that of
    their targets, whose loss it converts. If that is shorter than a window, the end of the training text is
    moved to it.

    Raises: DataError if the text is empty or too short for the context; TokenizerError if the vocabulary
    lacks a character.
    """

    def __init__(self, source: Source, tokenizer: Tokenizer, config: RunConfig) -> None:
        self._seed = config.train.seed
        self._batch = config.train.batch
        self._context = config.model.context
        self._tokenizer = tokenizer
        self._floor = source.floor
        self._fresh = source.fresh if config.recipe.fresh_data else None
        self.train_ids_N, self.validation_ids_N = _ids(source, tokenizer, self._context)
        windows_WT1 = _evenly_spaced(self.validation_ids_N, self._context + 1, config.train.eval_windows)
        self.validation_inputs_WT, self.validation_targets_WT = _inputs_and_targets(windows_WT1)
        self.bytes_per_token = _bytes_per_token(self.validation_targets_WT, tokenizer)
        self._block, self._windows_NT1 = 0, self._open_block(0)
        epoch = len(self._windows_NT1) / (self._batch * self._context)  # in steps
        self.steps_per_block = max(1, round(config.recipe.epochs_per_block * epoch))

    @cached_property
    def baselines(self) -> Baselines:
        """Reference losses on the validation text, in nats per token."""
        return measure_baselines(
            self.train_ids_N,
            self.validation_ids_N,
            self._tokenizer.vocab_size,
            None if self._floor is None else self._floor * self.bytes_per_token,
        )

    def batch(self, step: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Inputs and targets (B, T) of a step (from 0): windows at random offsets, wrapping at the end."""
        # With fresh data, block k is for steps k*R to k*R + R - 1, R = `steps_per_block`.
        block = step // self.steps_per_block if self._fresh else 0
        if block != self._block:
            self._windows_NT1, self._block = self._open_block(block), block
        # The step is a high word of the counter: streams of different steps do not overlap.
        stream = np.random.Philox(key=[self._seed, _OFFSETS_KEY], counter=[0, step, 0, 0])
        offsets_B = np.random.Generator(stream).integers(0, len(self._windows_NT1), self._batch)
        return _inputs_and_targets(self._windows_NT1[offsets_B])

    def _open_block(self, block: int) -> NDArray[np.int32]:
        """A view of the N windows that start at each token of a block, wrapping at the end."""
        ids_N = self._tokenizer.encode(self._fresh(block)) if self._fresh else self.train_ids_N
        size = self._context + 1
        return sliding_window_view(np.resize(ids_N, len(ids_N) + size - 1), size)


def _ids(source: Source, tokenizer: Tokenizer, context: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Training and validation ids, each at least a window long."""
    if not source.train:
        raise DataError(f"there is nothing to train on: {source.name} is empty")
    train_N, validation_N = tokenizer.encode(source.train), tokenizer.encode(source.validation)
    needed, total = context + 1, len(train_N) + len(validation_N)
    missing = needed - len(validation_N)
    # Synthetic training and validation text must not be mixed.
    if 0 < missing < len(train_N) and source.fresh is None:
        validation_N = np.concatenate([train_N[-missing:], validation_N])
        train_N = train_N[:-missing]
    if total < 2 * needed:
        raise DataError(
            f"the data has {total:,} tokens; a context of {context:,} needs at least {needed:,} to train on "
            f"and {needed:,} more to validate on: use more text or a shorter context"
        )
    for purpose, ids_N in (("training", train_N), ("validation", validation_N)):
        if len(ids_N) < needed:
            raise DataError(
                f"the {purpose} data has {len(ids_N):,} tokens; a context of {context:,} needs at least "
                f"{needed:,}: use more text or a shorter context"
            )
    return train_N, validation_N


def _evenly_spaced(ids_N: NDArray[np.int32], size: int, most: int) -> NDArray[np.int32]:
    """At most `most` windows from the first token to the last; they overlap by their last token only."""
    n_windows = min(most, (len(ids_N) - 1) // (size - 1))
    starts = np.linspace(0, len(ids_N) - size, n_windows).astype(np.int64)
    return sliding_window_view(ids_N, size)[starts]


def _inputs_and_targets(windows_WT1: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    return np.ascontiguousarray(windows_WT1[:, :-1]), np.ascontiguousarray(windows_WT1[:, 1:])


def _bytes_per_token(ids_WT: NDArray[np.int32], tokenizer: Tokenizer) -> float:
    kinds, counts = np.unique(ids_WT, return_counts=True)
    lengths = [len(tokenizer.decode([token_id])) for token_id in kinds.tolist()]
    return float(np.dot(lengths, counts)) / ids_WT.size
