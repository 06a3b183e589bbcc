"""What every evaluator is, and the helps they share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..events import ScoreDone
from ..sample import Sampler, Sampling

if TYPE_CHECKING:
    from ..train import Training

ENOUGH = 0.9
"""The share of tasks done right from which a model has learnt its task."""


@dataclass
class Tally:
    """Tasks that are either done right or not, counted as they are done."""

    asked: int = 0
    right: int = 0

    def add(self, *, right: bool) -> None:
        """Count a task."""
        self.asked += 1
        self.right += right

    @property
    def share(self) -> float:
        """Of the tasks so far, those done right; 0 before the first."""
        return self.right / self.asked if self.asked else 0.0

    def score(
        self, step: int, evaluator: str, summary: str, details: Mapping[str, float], *, thorough: bool
    ) -> ScoreDone:
        """The share as a score, with the evaluator's own words and figures."""
        return ScoreDone(
            step=step,
            evaluator=evaluator,
            score=self.share,
            unit="share",
            verdict="success" if self.share >= ENOUGH else "fail",
            summary=summary,
            details=dict(details),
            thorough=thorough,
        )


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
