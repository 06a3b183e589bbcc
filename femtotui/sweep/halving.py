"""Early stopping by successive halving, asynchronous, so that no run waits for the slowest.

A run that reaches a rung continues only if its validation loss is among the best 1/factor of those that have
reached that rung so far.

Source: Li and others, "A System for Massively Parallel Hyperparameter Tuning" (2020), with the stopping rule
of Ray Tune's ASHA; after Jamieson and Talwalkar, "Non-stochastic Best Arm Identification" (2016).
"""

from __future__ import annotations

RUNGS = 3
"""Maximum number of rungs: with a factor of 3 the first is at 1/27 of the steps."""


class Halving:
    """Remembers the losses at each rung."""

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._losses: dict[int, dict[int, float]] = {}

    def must_stop(self, index: int, steps: int, eval_step: int, val_loss: float) -> bool:
        """Whether run `index`, of `steps` steps, evaluated at `eval_step`, should be stopped."""
        stops = False
        for rung in range(1, RUNGS + 1):
            losses = self._losses.setdefault(rung, {})
            if eval_step < steps / self._factor**rung or index in losses:
                continue
            losses[index] = val_loss
            kept = max(1, len(losses) // self._factor)
            stops = stops or val_loss > sorted(losses.values())[kept - 1]
        return stops and eval_step < steps
