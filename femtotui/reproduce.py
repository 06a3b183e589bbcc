"""The journal's entries trained again, by its own recipe or ours, and judged by measure.

Each training is an ordinary run in a folder of its own that its settings name. Asked for a second time, what
is finished is only read, and what was broken off goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import msgspec

from femtotui.core.commands import Steering
from femtotui.core.config import RunConfig
from femtotui.core.errors import RunError
from femtotui.core.events import Event, RunFailed, RunFinished, ScoreDone
from femtotui.core.history import read_scores
from femtotui.core.runs import list_runs
from femtotui.presets import Goal, Preset, run_config

from .session import Session, continue_run, prepare

Watcher = Callable[[Event], None]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One entry by one recipe and seed, beside what the journal noted.

    Losses are in nats a token. `score` is in `unit`; `steps_to_success` and `seconds_to_success` (of
    training) are those of the shortest of its runs that succeeded, None if none did.
    """

    entry: str
    recipe: str
    seed: int
    journal_step: int
    journal_loss: float
    journal_seconds: float | None
    journal_verdict: str
    loss_at_journal_step: float
    score_at_journal_step: float
    steps_to_success: int | None
    seconds_to_success: float | None
    seconds_allowed: float
    val_loss: float
    score: float
    unit: str
    goal: str
    verdict: str


class Trained(msgspec.Struct, frozen=True):
    """What became of one run."""

    finished: RunFinished
    score: ScoreDone


def reproduce(preset: Preset, recipe: str, seed: int, runs: Path, watch: Watcher) -> Outcome:
    """Train an entry for the journal's own steps; by our recipe also for its usual ones, if that did not do.

    A run's length is settled before it begins, since the rate falls until its end. The journal's recipe
    stops where the journal did.

    Raises
    ------
    FemtoError
        For a preset without a record, and for whatever ends a training.
    """
    record, goal = preset.journal, preset.goal
    if record is None or goal is None:
        raise RunError(
            f"{preset.key} {preset.title} is no entry of the journal: there is nothing to reproduce"
        )
    tries = [train_to_the_end(run_config(preset, recipe=recipe, steps=record.step, seed=seed), runs, watch)]
    if recipe != "journal" and not _reaches(goal, tries[0].score) and preset.steps > record.step:
        tries.append(train_to_the_end(run_config(preset, recipe=recipe, seed=seed), runs, watch))
    first, last = tries[0], tries[-1]
    done = next((trained for trained in tries if _reaches(goal, trained.score)), None)
    return Outcome(
        entry=preset.key,
        recipe=recipe,
        seed=seed,
        journal_step=record.step,
        journal_loss=record.loss,
        journal_seconds=record.elapsed_s,
        journal_verdict=record.verdict,
        loss_at_journal_step=first.finished.train_loss,
        score_at_journal_step=first.score.score,
        steps_to_success=done.finished.step if done else None,
        seconds_to_success=done.finished.elapsed_s if done else None,
        seconds_allowed=goal.seconds,
        val_loss=last.finished.val_loss,
        score=last.score.score,
        unit=last.score.unit,
        goal=_in_words(goal, last.score),
        verdict="success" if done else "fail",
    )


def _reaches(goal: Goal, score: ScoreDone) -> bool:
    if goal.score is None:
        return score.score < score.details["bits_a_byte.trigram"]
    return score.score <= goal.score if score.unit == "bits a byte" else score.score >= goal.score


def _in_words(goal: Goal, score: ScoreDone) -> str:
    if goal.score is None:
        return f"below a trigram model's {score.details['bits_a_byte.trigram']:.3f} bits a byte"
    if score.unit == "bits a byte":
        return f"at most {goal.score:.3f} bits a byte"
    return f"at least {goal.score:.0%}"


def train_to_the_end(config: RunConfig, runs: Path, watch: Watcher) -> Trained:
    """A run of `config` under `runs`, taken up where it is, to its end. Raises: FemtoError."""
    session = _session(config, runs / "reproduce" / _folder_name(config))
    commands: SimpleQueue[Steering] = SimpleQueue()
    finished: RunFinished | None = None
    score: ScoreDone | None = None
    try:
        for event in session.record(commands):
            watch(event)
            if isinstance(event, RunFailed):
                raise RunError(
                    f"entry {config.preset} by {config.recipe.name}: {event.title}: {event.message}"
                )
            if isinstance(event, ScoreDone) and event.thorough:
                score = event
            if isinstance(event, RunFinished):
                finished = event
        score = score or _recorded_score(session.run.path)
        if finished is None or score is None:
            raise RunError(f"entry {config.preset}, {config.recipe.name}: it ended before it was judged")
        return Trained(finished, score)
    finally:
        session.close()


def _recorded_score(run: Path) -> ScoreDone | None:
    """What a run that was finished before was judged then."""
    thorough = [score for score in read_scores(run / "scores.jsonl") if score.thorough]
    return thorough[-1] if thorough else None


def _session(config: RunConfig, folder: Path) -> Session:
    for run in list_runs(folder):
        if run.can_continue or run.finished:
            return continue_run(run.path)
    return prepare(config, folder)


def _folder_name(config: RunConfig) -> str:
    """Says what it holds, and changes with every setting."""
    settings = hashlib.sha256(msgspec.json.encode(config)).hexdigest()[:8]
    train = config.train
    return f"{config.preset}-{config.recipe.name}-seed{train.seed}-{train.steps}steps-{settings}"
