"""What every evaluator is, and the helps they share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from ..sample import Sampler, Sampling

if TYPE_CHECKING:
    from ..events import ScoreDone
    from ..train import Training

ENOUGH = 0.9
"""The share of tasks done right from which a model has learnt its task."""


class Evaluator(Protocol):
    """Examines a model on one kind of task."""

    name: str

    def examine(self, training: Training, val_loss: float, *, thorough: bool) -> Iterator[ScoreDone | None]:
        """Yields None between two small pieces of work, so that its caller can do something else or give up,
        and the score last. `val_loss` is that of `training` as it is now; parameters are only read.

        A quick examination (not `thorough`) takes a small sample of the tasks: it is for a training that
        should not wait.
        """
        ...


def sampler_of(training: Training) -> Sampler:
    """A sampler over a copy of the parameters as they are now."""
    config = training.config
    return Sampler(config.model, config.recipe, training.parameters_P, training.tokenizer)


def drawn_bytes(
    sampler: Sampler, prompt: bytes, n_tokens: int, sampling: Sampling, stop: bytes = b""
) -> bytes:
    """What follows `prompt`, up to `n_tokens` tokens, ending early once `stop` has been drawn."""
    drawn = bytearray()
    for token in sampler.generate(prompt, n_tokens, sampling):
        drawn += token.bytes
        if stop and stop in drawn:
            break
    return bytes(drawn)
