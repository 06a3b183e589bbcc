"""Evaluators, which score a model's skill: sums, words that obey rules, or text against n-gram models."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeAlias

from .events import ScoreDone
from .sampling.sampler import Sampler, Sampling
from .training.baselines import NgramLosses, ngram_losses

if TYPE_CHECKING:
    from .training.training import Training

SUCCESS_SHARE = 0.9
"""The share of correct answers from which a model has learnt its task."""


@dataclass
class Tally:
    """Counts of tasks, and of those done right."""

    asked: int = 0
    right: int = 0

    def add(self, *, right: bool) -> None:
        """Count a task."""
        self.asked += 1
        self.right += right

    @property
    def share(self) -> float:
        """The share of tasks done right so far; 0 before the first."""
        return self.right / self.asked if self.asked else 0.0

    def score(
        self, step: int, evaluator: str, summary: str, details: Mapping[str, float], *, thorough: bool
    ) -> ScoreDone:
        """The share as a score, with the evaluator's summary and figures."""
        return ScoreDone(
            step=step,
            evaluator=evaluator,
            score=self.share,
            unit="share",
            verdict="success" if self.share >= SUCCESS_SHARE else "fail",
            summary=summary,
            details=dict(details),
            thorough=thorough,
        )


def sampler_of(training: Training) -> Sampler:
    """A sampler with a copy of the current parameters."""
    config = training.config
    return Sampler(config.model, config.recipe, training.parameters_P, training.tokenizer)


def drawn_bytes(
    sampler: Sampler, prompt: bytes, n_tokens: int, sampling: Sampling, stop: bytes = b""
) -> bytes:
    """A continuation of `prompt` by up to `n_tokens` tokens, ending early after `stop`."""
    drawn = bytearray()
    for token in sampler.generate(prompt, n_tokens, sampling):
        drawn += token.bytes
        if stop and stop in drawn:
            break
    return bytes(drawn)


QUICK_SUMS = 48
ANSWER_TOKENS = 8
"""More than the longest answer has in any tokenizer: a space, three digits and the semicolon."""

_SUM = re.compile(rb"(?m)^(\d{1,9}) \+ (\d{1,9}) = \d{1,10};$")
_GREEDY = Sampling(temperature=0, alternatives=0)


@dataclass(frozen=True)
class Sum:
    """A sum of two numbers."""

    a: int
    b: int

    @property
    def prompt(self) -> bytes:
        # The space belongs to the answer: a BPE token may contain both.
        return f"\n{self.a} + {self.b} =".encode()

    @property
    def answer(self) -> bytes:
        return f" {self.a + self.b};".encode()

    @property
    def digits(self) -> int:
        return len(str(self.a + self.b))

    @property
    def carries(self) -> int:
        """The number of carries in column addition."""
        a, b, carry, count = self.a, self.b, 0, 0
        while a or b:
            carry = int(a % 10 + b % 10 + carry >= 10)
            count += carry
            a, b = a // 10, b // 10
        return count


class SumsEvaluator:
    """Asks each sum of the validation text, which are never trained on, after a newline."""

    name = "addition_dummy"

    def examine(self, training: Training, _val_loss: float, *, thorough: bool) -> Iterator[ScoreDone | None]:
        """See Evaluator."""
        sampler = sampler_of(training)
        sums = held_out_sums(training.source.validation)
        tally = Tally()
        asked: Counter[str] = Counter()
        right: Counter[str] = Counter()
        groups = (("asked", asked), ("right", right))
        for sum_ in sums if thorough else sums[:QUICK_SUMS]:
            exact = drawn_bytes(sampler, sum_.prompt, ANSWER_TOKENS, _GREEDY, b";") == sum_.answer
            tally.add(right=exact)
            for group in ("sums", f"{sum_.carries} carries", f"{sum_.digits} digits"):
                asked[group] += 1
                right[group] += exact
            yield None
        yield tally.score(
            training.step,
            self.name,
            f"{tally.right:,} of {tally.asked:,} held-out sums exactly right ({tally.share:.1%})",
            {f"{what}.{group}": of[group] for what, of in groups for group in sorted(asked)},
            thorough=thorough,
        )


def held_out_sums(validation: bytes) -> list[Sum]:
    """The different sums of a validation text, in order of first occurrence."""
    found = (Sum(int(match[1]), int(match[2])) for match in _SUM.finditer(validation))
    return list(dict.fromkeys(found))


QUICK_STREAMS = 10
THOROUGH_STREAMS = 60
MIN_TOKENS = 64

_FORM = "semicolon"
"""The rule of lines: every word is followed by `;` and a newline."""

BrokenRules = Callable[[str, Sequence[str]], list[str]]
"""Returns the names of the rules that a word breaks, given the words before it."""


class WordsEvaluator:
    """Samples words, at temperature 1 without top-k or top-p, and checks every whole word by the rules."""

    def __init__(self, name: str, broken_rules: BrokenRules, rules: Sequence[str]) -> None:
        self.name = name
        self._broken_rules = broken_rules
        self._rules = (*rules, _FORM)

    def examine(self, training: Training, _val_loss: float, *, thorough: bool) -> Iterator[ScoreDone | None]:
        """See Evaluator."""
        sampler = sampler_of(training)
        # Beyond the context, the model would read half of the text again.
        n_tokens = max(MIN_TOKENS, training.config.model.context)
        words, broken = Tally(), Counter[str]()
        for seed in range(THOROUGH_STREAMS if thorough else QUICK_STREAMS):
            text = drawn_bytes(sampler, b"\n", n_tokens, Sampling(seed=seed, alternatives=0))
            for faults in self._faults(text.decode(errors="replace")):
                words.add(right=not faults)
                broken.update(faults)
            yield None
        worst = broken.most_common(1)
        failing = f"; broken most: {worst[0][0]} ({worst[0][1]:,} times)" if worst else ""
        yield words.score(
            training.step,
            self.name,
            f"{words.share:.1%} of {words.asked:,} sampled words obey every rule{failing}",
            {"words": words.asked, "obeying": words.right}
            | {f"broken.{rule}": broken[rule] for rule in self._rules},
            thorough=thorough,
        )

    def _faults(self, text: str) -> Iterator[list[str]]:
        """The names of the rules that each whole line of `text` breaks."""
        previous: list[str] = []
        for line in text.split("\n")[:-1]:
            word = line.removesuffix(";")
            yield self._broken_rules(word, previous) + ([] if line.endswith(";") else [_FORM])
            previous.append(word)


class TextEvaluator:
    """Bits per byte on the validation text; a success if better than a trigram model."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._counted: NgramLosses | None = None

    def examine(self, training: Training, val_loss: float, *, thorough: bool) -> Iterator[ScoreDone | None]:
        """See Evaluator. N-grams are counted only once."""
        if self._counted is None:
            yield None
            batches = training.batches
            self._counted = ngram_losses(
                batches.train_ids_N,
                batches.validation_inputs_WT,
                batches.validation_targets_WT,
                training.config.model.vocab_size,
            )
        losses = {"model": max(0.0, val_loss), **asdict(self._counted)}
        bits = {name: loss / math.log(2) / training.batches.bytes_per_token for name, loss in losses.items()}
        beaten = val_loss < self._counted.trigram
        than = f"{'better' if beaten else 'no better'} than a trigram model's {bits['trigram']:.3f}"
        yield ScoreDone(
            step=training.step,
            evaluator=self.name,
            score=bits["model"],
            unit="bits a byte",
            verdict="success" if beaten else "fail",
            summary=f"{bits['model']:.3f} bits per byte, {than}",
            details={
                **{f"loss.{name}": loss for name, loss in losses.items()},
                **{f"bits_a_byte.{name}": value for name, value in bits.items()},
            },
            thorough=thorough,
        )


Evaluator: TypeAlias = SumsEvaluator | WordsEvaluator | TextEvaluator
"""Scores a model on one kind of task.

`examine` yields None after each small piece of work, so that the caller may stop, and the score last. Its
`val_loss` is the current one of `training`, whose parameters are only read. If not `thorough`, only a small
sample of the tasks is used, so that training does not wait long.
"""
