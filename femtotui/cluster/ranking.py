"""Which run is the best."""

from __future__ import annotations

import math
from collections.abc import Iterable

from .messages import Outcome
from .spec import RankBy


def ranked(outcomes: Iterable[Outcome], by: RankBy) -> list[Outcome]:
    """Best first; what cannot be ranked comes after that, and what failed last, in the order of the sweep."""
    return sorted(outcomes, key=lambda outcome: (*_merit(outcome, by), outcome.index))


def _merit(outcome: Outcome, by: RankBy) -> tuple[bool, float]:
    """Sorts as the run should. A higher share is better, fewer bits a byte are, as are losses and times."""
    if by == "score" and outcome.score is not None:
        value: float | None = -outcome.score if outcome.unit == "share" else outcome.score
    else:
        value = {"loss": outcome.val_loss, "score": None, "time": outcome.success_s}[by]
    failed = outcome.state == "failed"
    return failed, math.inf if value is None or not math.isfinite(value) else value
