"""Our own verdict on each preset, from the scores in the run folders: the journal's author went by eye."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Literal

from femtotui.core.errors import FemtoError
from femtotui.core.history import read_scores
from femtotui.core.runs import list_runs

Ours = Literal["success", "fail"]


def our_verdicts(runs: Path) -> dict[str, Ours]:
    """By preset key: `success` if any run of it ended in one, `fail` if some were scored and none did."""
    found: dict[str, Ours] = {}
    try:
        summaries = list_runs(runs)
    except FemtoError:
        return found
    for summary in summaries:
        last = deque(read_scores(summary.path / "scores.jsonl"), maxlen=1)
        if summary.info is None or not last:
            continue
        key = summary.info.config.preset
        if last[0].verdict == "success":
            found[key] = "success"
        elif last[0].verdict == "fail":
            found.setdefault(key, "fail")
    return found
