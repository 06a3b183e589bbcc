"""Words with rules (simple_dummy): the share of sampled words that obey every rule, and which rules fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..sample import Sampling
from .evaluator import Tally, drawn_bytes, sampler_of

if TYPE_CHECKING:
    from ..events import ScoreDone
    from ..train import Training

QUICK_STREAMS = 10
THOROUGH_STREAMS = 60
LEAST_TOKENS = 64

_FORM = "semicolon"
"""The rule of the lines themselves: every word is followed by `;` and a newline."""

BrokenRules = Callable[[str, Sequence[str]], list[str]]
"""Names the rules that a word breaks, given the words before it."""


class WordsEvaluator:
    """Lets the model write, at temperature 1 and uncut, and holds every whole word to the rules."""

    def __init__(self, name: str, broken_rules: BrokenRules, rules: Sequence[str]) -> None:
        self.name = name
        self._broken_rules = broken_rules
        self._rules = (*rules, _FORM)

    def examine(self, training: Training, val_loss: float, *, thorough: bool) -> Iterator[ScoreDone | None]:
        """See Evaluator.examine."""
        del val_loss
        sampler = sampler_of(training)
        # A stream as long as the context: a longer one would be read twice.
        n_tokens = max(LEAST_TOKENS, training.config.model.context)
        words, broken = Tally(), Counter[str]()
        for seed in range(THOROUGH_STREAMS if thorough else QUICK_STREAMS):
            text = drawn_bytes(sampler, b"\n", n_tokens, Sampling(seed=seed, alternatives=0))
            for faults in self._faults(text.decode(errors="replace")):
                words.add(right=not faults)
                broken.update(faults)
            yield None
        yield self._score(training.step, words, broken, thorough=thorough)

    def _faults(self, text: str) -> Iterator[list[str]]:
        """The rules that each whole line of `text` breaks."""
        previous: list[str] = []
        for line in text.split("\n")[:-1]:
            word = line.removesuffix(";")
            yield self._broken_rules(word, previous) + ([] if line.endswith(";") else [_FORM])
            previous.append(word)

    def _score(self, step: int, words: Tally, broken: Counter[str], *, thorough: bool) -> ScoreDone:
        worst = broken.most_common(1)
        failing = f"; broken most: {worst[0][0]} ({worst[0][1]:,} times)" if worst else ""
        return words.score(
            step,
            self.name,
            f"{words.share:.1%} of {words.asked:,} sampled words obey every rule{failing}",
            {
                "words": words.asked,
                "obeying": words.right,
                **{f"broken.{rule}": broken[rule] for rule in self._rules},
            },
            thorough=thorough,
        )
