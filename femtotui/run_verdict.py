"""The verdict on a run: what is known of it, brought to `verdict.judge` no more often than it changes."""

from __future__ import annotations

import numpy as np

from femtotui.presets import Preset

from .run_view import RunView, Status
from .verdict import Landmarks, Trend, Verdict, judge, slope

_AGAIN_STEPS = 5
_AGAIN_SHARE = 0.005
_SLOPE_STEPS = 6000


def landmarks(view: RunView, preset: Preset | None) -> Landmarks:
    """What losses mean for this run. The journal's end counts only for data that is the journal's."""
    known = view.started.baselines if view.started is not None else None
    record = preset.journal if preset is not None and _has_its_data(view) else None
    return Landmarks(
        uniform=known.uniform if known else None,
        bigram=known.bigram if known else None,
        floor=known.floor if known else None,
        journal_step=record.step if record else None,
        journal_loss=record.loss if record else None,
    )


def _has_its_data(view: RunView) -> bool:
    """Whether it trains on what the journal's author had: not on a stand-in, nor on files of one's own."""
    name = view.started.data_name if view.started is not None else view.config.data.source
    return name == view.config.data.source and not view.config.data.paths


def verdict_of(view: RunView, preset: Preset | None) -> Verdict:
    """The verdict on a run as it stands."""
    over = view.status in {Status.FINISHED, Status.FAILED, Status.PARKED}
    return judge(view.steps, view.losses, view.seconds, view.evals, landmarks(view, preset), over=over)


def still_falls(view: RunView) -> float | None:
    """How many nats a minute the loss still falls, or None if it does not (or nobody can tell yet)."""
    found = slope(np.asarray(view.losses)[-_SLOPE_STEPS:], np.asarray(view.seconds)[-_SLOPE_STEPS:])
    return -found.per_minute if found.trend is Trend.FALLING else None


def too_early_words(view: RunView) -> str:
    """What to think of before a run is left: the journal's own lesson was that it stopped too early."""
    falls = still_falls(view)
    if falls is None or view.status is Status.FINISHED:
        return ""
    shown = f"{falls:.0f}" if falls >= 10 else f"{falls:.2g}"
    return f"its loss was still falling, {shown} a minute"


class Judge:
    """Keeps the verdict on the run on show, and thinks again when enough has happened."""

    def __init__(self) -> None:
        self._view: RunView | None = None
        self._seen: tuple[int, int, Status] | None = None
        self._verdict: Verdict | None = None

    def verdict(self, view: RunView, preset: Preset | None) -> Verdict:
        """The verdict, at most half a percent of the run old."""
        if self._verdict is None or self._is_stale(view):
            self._view, self._seen = view, (len(view.steps), view.rewritten, view.status)
            self._verdict = verdict_of(view, preset)
        return self._verdict

    def _is_stale(self, view: RunView) -> bool:
        if view is not self._view or self._seen is None:
            return True
        steps, rewritten, status = self._seen
        if (rewritten, status) != (view.rewritten, view.status):
            return True
        return len(view.steps) - steps >= max(_AGAIN_STEPS, _AGAIN_SHARE * steps)
