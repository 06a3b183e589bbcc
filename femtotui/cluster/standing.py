"""Every run of a sweep at a glance, best first: where it runs, how far it is, how well it does."""

from __future__ import annotations

from dataclasses import dataclass

from .grid import Trial, differing_names
from .live import Watch
from .messages import Outcome, Report
from .ranking import ranked


@dataclass(frozen=True)
class Standing:
    """One run now. `state` is `waits`, `trains`, `finished`, `stopped` or `failed`.

    `name` are the settings that differ, with their values; `short_name` the values alone.
    """

    trial: Trial
    name: str
    short_name: str
    state: str
    worker: str = ""
    step: int = 0
    loss: float | None = None
    val_loss: float | None = None
    score: float | None = None
    seconds_left: float | None = None
    remark: str = ""


def standings(watch: Watch) -> list[Standing]:
    """All runs, best first by what the sweep ranks by; those that wait come last."""
    info = watch.folder.info
    names = differing_names(info.trials)
    by_index = {trial.index: trial for trial in info.trials}
    known = [watch.outcomes.get(index) or _so_far(report) for index, report in watch.last.items()]
    known += [outcome for index, outcome in watch.outcomes.items() if index not in watch.last]
    order = [outcome.index for outcome in ranked(known, info.spec.rank_by)]
    order += [index for index in by_index if index not in order]
    return [
        _standing(by_index[index], names, watch.last.get(index), watch.outcomes.get(index), info.spec.seconds)
        for index in order
        if index in by_index
    ]


def _so_far(report: Report) -> Outcome:
    """What would become of a run if it ended now, to be ranked beside those that have."""
    unit = "" if report.score is None else report.unit
    return Outcome(
        index=report.index, state="stopped", val_loss=report.val_loss, score=report.score, unit=unit
    )


def _standing(
    trial: Trial,
    names: tuple[str, ...],
    report: Report | None,
    outcome: Outcome | None,
    budget_s: float | None,
) -> Standing:
    values = {key: value for key, value in trial.differing().items() if key in names}
    name = " ".join(f"{key} {value}" for key, value in values.items())
    short = " ".join(map(str, values.values()))
    if outcome is not None:
        return Standing(
            trial,
            name,
            short,
            outcome.state,
            outcome.worker,
            outcome.step,
            outcome.train_loss,
            outcome.val_loss,
            outcome.score,
            remark=outcome.reason or outcome.note,
        )
    if report is None:
        return Standing(trial, name, short, "waits")
    return Standing(
        trial,
        name,
        short,
        "trains",
        report.worker,
        report.step,
        report.loss,
        report.val_loss,
        report.score,
        _seconds_left(report, budget_s),
    )


def _seconds_left(report: Report, budget_s: float | None) -> float:
    by_steps = (report.steps - report.step) * report.ms / 1000
    return by_steps if budget_s is None else min(by_steps, max(0.0, budget_s - report.elapsed_s))
