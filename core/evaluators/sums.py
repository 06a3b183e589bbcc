"""Sums (addition_dummy): the share of held-out sums that come out exactly right, decoded greedily."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..sample import Sampling
from .evaluator import Tally, drawn_bytes, sampler_of

if TYPE_CHECKING:
    from ..events import ScoreDone
    from ..train import Training

QUICK_SUMS = 48
ANSWER_TOKENS = 8
"""More than the longest answer has in any tokenizer: a space, three digits and the semicolon."""

_SUM = re.compile(rb"(?m)^(\d{1,9}) \+ (\d{1,9}) = \d{1,10};$")
_GREEDY = Sampling(temperature=0, alternatives=0)


@dataclass(frozen=True)
class Sum:
    """A sum to do."""

    a: int
    b: int

    @property
    def prompt(self) -> bytes:
        # Without the space before the answer: a BPE token may hold both.
        return f"\n{self.a} + {self.b} =".encode()

    @property
    def answer(self) -> bytes:
        return f" {self.a + self.b};".encode()

    @property
    def digits(self) -> int:
        return len(str(self.a + self.b))

    @property
    def carries(self) -> int:
        """How often a column passes one on when this is done on paper."""
        a, b, carry, count = self.a, self.b, 0, 0
        while a or b:
            carry = int(a % 10 + b % 10 + carry >= 10)
            count += carry
            a, b = a // 10, b // 10
        return count


class SumsEvaluator:
    """Asks the sums of the validation text, which are never trained on: each once, alone after a newline."""

    name = "addition_dummy"

    def examine(self, training: Training, val_loss: float, *, thorough: bool) -> Iterator[ScoreDone | None]:
        """See Evaluator.examine."""
        del val_loss
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
    """The different sums of a validation text, in the order in which they first come."""
    found = (Sum(int(match[1]), int(match[2])) for match in _SUM.finditer(validation))
    return list(dict.fromkeys(found))
