"""What `femtotui reproduce` found, as a table for people: the journal's figures beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from .wording import UNKNOWN, duration

if TYPE_CHECKING:
    from .reproduce import Outcome

_COLUMNS = (
    ("#", "right"),
    ("journal", "left"),
    ("recipe", "left"),
    ("at its step", "left"),
    ("success after", "left"),
    ("end", "left"),
    ("verdict", "left"),
)


def reproduce_table(outcomes: Sequence[Outcome]) -> Table:
    """A row an outcome. A miss is shown as one, with the goal that was missed."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for header, justify in _COLUMNS:
        table.add_column(header, justify="right" if justify == "right" else "left")
    for outcome in outcomes:
        table.add_row(*(Text(cell) for cell in _cells(outcome)))
    return table


def _cells(o: Outcome) -> list[str]:
    took = duration(o.journal_seconds) if o.journal_seconds is not None else UNKNOWN
    after = UNKNOWN
    if o.steps_to_success is not None and o.seconds_to_success is not None:
        slow = (
            "" if o.seconds_to_success <= o.seconds_allowed else f" (allowed: {duration(o.seconds_allowed)})"
        )
        after = f"{o.steps_to_success:,} steps, {duration(o.seconds_to_success)}{slow}"
    return [
        o.entry,
        f"{o.journal_loss:.4f} at {o.journal_step:,}, {took}, {o.journal_verdict}",
        f"{o.recipe}, seed {o.seed}",
        f"{o.loss_at_journal_step:.4f}, {_score(o.score_at_journal_step, o.unit)}",
        after,
        f"{o.val_loss:.4f}, {_score(o.score, o.unit)}",
        "success" if o.verdict == "success" else f"fail: {o.goal} wanted",
    ]


def _score(score: float, unit: str) -> str:
    return f"{score:.1%}" if unit == "share" else f"{score:.3f} {unit}"
