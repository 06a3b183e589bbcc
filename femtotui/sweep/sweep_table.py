"""The ranking of a sweep and its tables: best first, with the settings that differ."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

from ..text.formats import UNKNOWN, duration
from ..text.safe import one_line
from .messages import Outcome, RunFigures
from .spec import RankBy, SweepTrial, Value, differing_names

_Row = dict[str, Value | None]
_Figures = TypeVar("_Figures", bound=RunFigures)
_MAX_CELL = 120


def table_rows(trials: Sequence[SweepTrial], outcomes: Sequence[Outcome], by: RankBy) -> list[_Row]:
    """A dict per run, best first: rank, the settings that differ, and the results."""
    names = differing_names(tuple(trials))
    settings = {trial.index: trial.differing() for trial in trials}
    rows: list[_Row] = []
    for rank, outcome in enumerate(ranked(outcomes, by), 1):
        differing = {name: settings[outcome.index][name] for name in names}
        rows.append({"rank": rank, **differing, **_figures(outcome)})
    return rows


def _figures(outcome: Outcome) -> _Row:
    return {
        "state": outcome.state,
        "step": outcome.step,
        "loss": outcome.train_loss,
        "validation": outcome.val_loss,
        "score": outcome.score,
        "unit": outcome.unit,
        "success_step": outcome.success_step,
        "success_s": outcome.success_s,
        "seconds": outcome.elapsed_s,
        "ms_per_step": 1000 * outcome.elapsed_s / outcome.step if outcome.step else None,
        "worker": outcome.worker,
        "run": outcome.run.replace("\\", "/").rpartition("/")[2],
        "note": outcome.reason or outcome.note,
    }


def csv_table(trials: Sequence[SweepTrial], outcomes: Sequence[Outcome], by: RankBy) -> str:
    """All figures as CSV, with full precision."""
    rows = table_rows(trials, outcomes, by)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0] if rows else ["rank"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def markdown_table(trials: Sequence[SweepTrial], outcomes: Sequence[Outcome], by: RankBy) -> str:
    """The figures that people compare, as a Markdown table."""
    rows = [_readable(row) for row in table_rows(trials, outcomes, by)]
    if not rows:
        return "No run has ended yet.\n"
    header = list(rows[0])
    lines = [header, ["---"] * len(header), *([row[name] for name in header] for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _readable(row: _Row) -> dict[str, str]:
    hidden = ("unit", "success_step", "ms_per_step", "worker")
    cells = {name: _cell(name, value) for name, value in row.items() if name not in hidden}
    return {_HEADERS.get(name, name): cell for name, cell in cells.items()}


_HEADERS = {"success_s": "success after", "seconds": "took"}


def _cell(name: str, value: Value | None) -> str:
    if value is None:
        return UNKNOWN
    if name in ("success_s", "seconds") and isinstance(value, float):
        return duration(value)
    if name in ("loss", "validation", "score") and isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, int) and not isinstance(value, bool) and name == "step":
        return f"{value:,}"
    text = one_line(str(value))
    text = text if len(text) <= _MAX_CELL else f"{text[:_MAX_CELL]}…"
    return text.replace("\\", "\\\\").replace("|", "\\|")


def ranked(runs: Iterable[_Figures], by: RankBy) -> list[_Figures]:
    """Sort best first; then runs that cannot be ranked, then failed ones, in the order of the sweep."""
    return sorted(runs, key=lambda run: (*_rank_key(run, by), run.index))


def _rank_key(run: RunFigures, by: RankBy) -> tuple[bool, float]:
    """The sort key of a run: a higher share is better; fewer bits per byte, lower losses and times are."""
    failed, success_s = (run.state == "failed", run.success_s) if isinstance(run, Outcome) else (False, None)
    value = {"loss": run.val_loss, "score": run.score, "time": success_s}[by]
    if value is None or not math.isfinite(value):
        return failed, math.inf
    return failed, -value if by == "score" and run.unit == "share" else value
