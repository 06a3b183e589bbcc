"""What a run folder says became of its run."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path

from femtotui.core.errors import RunError
from femtotui.core.history import read_scores, read_steps
from femtotui.core.progress import read_progress

from .messages import Outcome, State


def read_outcome(index: int, folder: Path, worker: str, state: State) -> Outcome:
    """The figures of a run at its newest checkpoint. Raises: RunError if nothing was saved."""
    progress = read_progress(folder)
    if progress is None:
        raise RunError(f"{folder} was never saved")
    scores = [score for score in read_scores(folder / "scores.jsonl") if score.step <= progress.step]
    last = scores[-1] if scores else None
    success_step = next((score.step for score in scores if score.verdict == "success"), None)
    return Outcome(
        index=index,
        state=state,
        worker=worker,
        step=progress.step,
        train_loss=progress.train_loss,
        val_loss=progress.val_loss,
        score=last.score if last else None,
        unit=last.unit if last else "",
        success_step=success_step,
        success_s=None if success_step is None else _elapsed_at(folder, success_step),
        elapsed_s=progress.elapsed_s,
        run=folder.name,
    )


def _elapsed_at(folder: Path, step: int) -> float | None:
    """Seconds of training until a step was done."""
    steps = list(read_steps(folder / "metrics.csv"))
    at = bisect_right(steps, step, key=lambda row: row.step)
    return steps[at - 1].elapsed_s if at else None
