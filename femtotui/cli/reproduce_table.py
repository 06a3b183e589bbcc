"""What `femtotui reproduce` found, as a table for people: the journal's figures beside ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ..text.formats import UNKNOWN, duration

if TYPE_CHECKING:
    from ..experiments.reproduction import ReproductionResult

_COLUMNS = (
    ("#", "right"),
    ("journal", "left"),
    ("recipe", "left"),
    ("at its step", "left"),
    ("success after", "left"),
    ("end", "left"),
    ("verdict", "left"),
)


def reproduce_table(outcomes: Sequence[ReproductionResult]) -> Table:
    """A row an outcome. A miss is shown as one, with the goal that was missed.

    Where an entry was trained with several seeds by a recipe, a row of medians follows, each with its
    spread from the least to the most.
    """
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for header, justify in _COLUMNS:
        table.add_column(header, justify="right" if justify == "right" else "left")
    for _, group in groupby(outcomes, key=lambda outcome: (outcome.entry, outcome.recipe)):
        seeds = list(group)
        for outcome in seeds:
            table.add_row(*(Text(cell) for cell in _cells(outcome)))
        if len(seeds) > 1:
            table.add_row(*(Text(cell, style="bold") for cell in _summary_cells(seeds)))
    return table


def _cells(o: ReproductionResult) -> list[str]:
    return [
        o.entry,
        _theirs(o),
        f"{o.recipe}, seed {o.seed}",
        _at_its_step(o),
        success_words(o),
        f"{o.val_loss:.4f}, {score_words(o.score, o.unit)}",
        "success" if o.verdict == "success" else f"fail: {o.goal} wanted",
    ]


def _theirs(o: ReproductionResult) -> str:
    """What the journal noted, or the peer."""
    if o.journal_loss is not None and o.journal_step is not None:
        took = duration(o.journal_seconds) if o.journal_seconds is not None else UNKNOWN
        return f"{o.journal_loss:.4f} at {o.journal_step:,}, {took}, {o.journal_verdict}"
    if o.peer_loss is None:
        return UNKNOWN
    took = duration(o.peer_seconds) if o.peer_seconds is not None else UNKNOWN
    return f"{o.peer}: {o.peer_loss:.4f}, {took}"


def _at_its_step(o: ReproductionResult) -> str:
    if o.loss_at_journal_step is not None and o.score_at_journal_step is not None:
        return f"{o.loss_at_journal_step:.4f}, {score_words(o.score_at_journal_step, o.unit)}"
    return f"its loss after {o.seconds_to_peer:.1f} s" if o.seconds_to_peer is not None else UNKNOWN


def success_words(o: ReproductionResult) -> str:
    """After how many steps and how long; slower than allowed is said."""
    if o.steps_to_success is None or o.seconds_to_success is None:
        return UNKNOWN
    slow = "" if o.seconds_to_success <= o.seconds_allowed else f" (allowed: {duration(o.seconds_allowed)})"
    return f"{o.steps_to_success:,} steps, {duration(o.seconds_to_success)}{slow}"


def score_words(score: float, unit: str) -> str:
    """A score in its unit."""
    return f"{score:.1%}" if unit == "share" else f"{score:.3f} {unit}"


def _summary_cells(seeds: Sequence[ReproductionResult]) -> list[str]:
    unit = seeds[0].unit
    losses = [o.loss_at_journal_step for o in seeds if o.loss_at_journal_step is not None]
    scores = [o.score_at_journal_step for o in seeds if o.score_at_journal_step is not None]
    steps = [float(o.steps_to_success) for o in seeds if o.steps_to_success is not None]
    seconds = [o.seconds_to_success for o in seeds if o.seconds_to_success is not None]
    ended, judged = [o.val_loss for o in seeds], [o.score for o in seeds]
    succeeded = sum(o.verdict == "success" for o in seeds)
    return [
        "",
        "",
        f"{seeds[0].recipe}, median of {len(seeds)}",
        f"{_spread(losses, _loss)}, {_spread(scores, lambda s: score_words(s, unit))}" if losses else UNKNOWN,
        f"{_spread(steps, _steps)} steps, {_spread(seconds, duration)}" if steps else UNKNOWN,
        f"{_spread(ended, _loss)}, {_spread(judged, lambda s: score_words(s, unit))}",
        f"{succeeded} of {len(seeds)} succeed",
    ]


def _spread(values: Sequence[float], words: Callable[[float], str]) -> str:
    """The median, and the least and the most of the values."""
    return f"{words(median(values))} [{words(min(values))} to {words(max(values))}]"


def _loss(value: float) -> str:
    return f"{value:.4f}"


def _steps(value: float) -> str:
    return f"{value:,.0f}"
