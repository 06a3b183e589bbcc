"""A contest as a table of text: what was noted before, then a row a lane. No Textual in here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .contest import Contest, Lane, Noted
from .run_view import RunView, Status
from .tones import Tone
from .wording import UNKNOWN, duration, loss

COLUMNS = ("run", "step", "loss", "validation", "score", "time", "verdict")
_GAP = "  "


@dataclass(frozen=True)
class Row:
    """The cells of a line, and the tone of its last one."""

    cells: tuple[str, ...]
    tone: Tone = "plain"


def contest_rows(contest: Contest) -> list[Row]:
    """Every lane as it stands; losses in nats a token, times of training."""
    rows = [_noted_row(contest.noted)] if contest.noted is not None else []
    return rows + [_lane_row(contest, lane) for lane in contest.lanes]


def table_lines(rows: list[Row], width: int) -> Iterator[tuple[str, str, Tone]]:
    """Each line in two parts, the last cell on its own with its tone; the header first.

    Where there is no room for all columns, validation goes first, and then the times.
    """
    dropped: set[int] = set()
    for spare in (3, 5, 1):
        if _total(rows, dropped) <= width:
            break
        dropped.add(spare)
    kept = [at for at in range(len(COLUMNS)) if at not in dropped]
    widths = {at: max(len(COLUMNS[at]), *(len(row.cells[at]) for row in rows)) for at in kept}
    for row in (Row(COLUMNS), *rows):
        first = _GAP.join(row.cells[at].ljust(widths[at]) for at in kept[:-1]) + _GAP
        yield first, row.cells[kept[-1]], row.tone


def _total(rows: list[Row], dropped: set[int]) -> int:
    kept = [at for at in range(len(COLUMNS)) if at not in dropped]
    widths = (max(len(COLUMNS[at]), *(len(row.cells[at]) for row in rows)) for at in kept)
    return sum(widths) + len(_GAP) * (len(kept) - 1)


def _noted_row(noted: Noted) -> Row:
    step = f"{noted.step:,}" if noted.step is not None else UNKNOWN
    time = duration(noted.seconds) if noted.seconds is not None else UNKNOWN
    is_validation = noted.verdict == "validation"
    shown = (UNKNOWN, loss(noted.loss)) if is_validation else (loss(noted.loss), UNKNOWN)
    verdict = UNKNOWN if is_validation else noted.verdict
    return Row((noted.name, step, *shown, UNKNOWN, time, verdict), _verdict_tone(verdict))


def _lane_row(contest: Contest, lane: Lane) -> Row:
    view, (verdict, tone) = lane.view, _standing(contest, lane)
    if view is None:
        return Row((lane.name, f"{lane.config.train.steps:,}", *([UNKNOWN] * 4), verdict), tone)
    step = f"{view.step:,}" if lane.done else f"{view.step:,} of {view.total_steps:,}"
    figures = (loss(view.smoothed_loss), loss(view.val_loss), _score(lane), duration(view.elapsed_s))
    return Row((lane.name, step, *figures, verdict), tone)


def _score(lane: Lane) -> str:
    score = lane.score
    if score is None:
        return UNKNOWN
    return f"{score.score:.1%}" if score.unit == "share" else f"{score.score:.3f} bits"


def _standing(contest: Contest, lane: Lane) -> tuple[str, Tone]:
    """The verdict on a lane, or why there is none yet."""
    if lane.done:
        return _judged(contest, lane)
    if lane.trains:
        return _left(lane.view), "good"
    if lane.failed:
        return "broke off", "error"
    if contest.unneeded(lane):
        return "not needed", "plain"
    if lane.elsewhere:
        return "trained elsewhere", "warning"
    return ("stopped", "warning") if lane.view is not None and lane.view.step else ("not yet", "plain")


def _judged(contest: Contest, lane: Lane) -> tuple[str, Tone]:
    if contest.goal is None:
        return "finished", "good"
    if not contest.reached(lane):
        return "fail", "error"
    slow = lane.view is not None and lane.view.elapsed_s > contest.goal.seconds
    return (f"success, over {duration(contest.goal.seconds)}", "warning") if slow else ("success", "good")


def _left(view: RunView | None) -> str:
    if view is None or view.status is Status.STARTING or view.left_s is None:
        return "starting"
    return f"{duration(view.left_s)} left"


def _verdict_tone(verdict: str) -> Tone:
    return {"success": "good", "fail": "error"}.get(verdict, "plain")  # type: ignore[return-value]
