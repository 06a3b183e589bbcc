"""Text and code: validation loss and bits a byte against readers that only count, on the same tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..events import ScoreDone
from .ngrams import NgramLosses, ngram_losses

if TYPE_CHECKING:
    from ..train import Training


class TextEvaluator:
    """A model has learnt something of its text once it beats counting triples of tokens."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._counted: NgramLosses | None = None

    def examine(self, training: Training, val_loss: float, *, thorough: bool) -> Iterator[ScoreDone | None]:
        """See Evaluator.examine. The counts are made once; after that nothing is left to hurry about."""
        if self._counted is None:
            yield None
            batches = training.batches
            self._counted = ngram_losses(
                batches.train_ids_N,
                batches.validation_inputs_WT,
                batches.validation_targets_WT,
                training.config.model.vocab_size,
            )
        yield self._score(training, val_loss, self._counted, thorough=thorough)

    def _score(
        self, training: Training, val_loss: float, counted: NgramLosses, *, thorough: bool
    ) -> ScoreDone:
        losses = {
            "model": val_loss,
            "unigram": counted.unigram,
            "bigram": counted.bigram,
            "trigram": counted.trigram,
        }
        bits = {name: loss / math.log(2) / training.batches.bytes_per_token for name, loss in losses.items()}
        beaten = val_loss < counted.trigram
        return ScoreDone(
            step=training.step,
            evaluator=self.name,
            score=bits["model"],
            unit="bits a byte",
            verdict="success" if beaten else "fail",
            summary=(
                f"{bits['model']:.3f} bits a byte, {'better' if beaten else 'no better'} than a trigram "
                f"model's {bits['trigram']:.3f}"
            ),
            details={
                **{f"loss.{name}": loss for name, loss in losses.items()},
                **{f"bits_a_byte.{name}": value for name, value in bits.items()},
            },
            thorough=thorough,
        )
