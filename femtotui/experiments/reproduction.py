"""The journal's entries trained again in this process, and the results beside what the journal noted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import cast

import msgspec

from femtotui.core.commands import Steering
from femtotui.core.errors import RunError
from femtotui.core.events import AnyEvent, Event, RunFailed, RunFinished, ScoreDone
from femtotui.core.run_folder.info import read_info
from femtotui.core.run_folder.logs import read_evals
from femtotui.presets import Goal, Preset

from ..runs.state import RunState
from ..trainer.session import Session, continue_run, prepare
from .experiment import Experiment, Trial, recipe_trials, trial_folder, trial_run

EventCallback = Callable[[Event], None]
SteeringQueue = SimpleQueue[Steering]


class ReproductionResult(msgspec.Struct, frozen=True, kw_only=True):
    """One entry by one recipe and seed, beside what the journal noted, or what another program reached.

    Losses are in nats a token. `score` is in `unit`; `steps_to_success` and `seconds_to_success` (of
    training) are those of the shortest of its runs that succeeded, None if none did. The journal's fields
    are None for a preset that is not of the journal, and the peer's (see `presets.Peer`) for one that is;
    `seconds_to_peer` is the time to the first validation that was no worse than the peer's. `steps`,
    `seconds`, `data` (a stand-in says so), `machine` and `created` are of the last training.
    """

    entry: str
    recipe: str
    seed: int
    journal_step: int | None
    journal_loss: float | None
    journal_seconds: float | None
    journal_verdict: str | None
    loss_at_journal_step: float | None
    score_at_journal_step: float | None
    steps_to_success: int | None
    seconds_to_success: float | None
    seconds_allowed: float
    val_loss: float
    score: float
    unit: str
    goal: str
    verdict: str
    steps: int
    seconds: float
    peer: str | None
    peer_loss: float | None
    peer_seconds: float | None
    seconds_to_peer: float | None
    data: str
    machine: str
    created: str


class Interrupted(KeyboardInterrupt):
    """A Stop was obeyed; everything is saved, and the same request resumes it."""


class TrialResult(msgspec.Struct, frozen=True):
    finished: RunFinished
    score: ScoreDone


def reproduce(
    preset: Preset, recipe: str, seed: int, runs: Path, watch: EventCallback, commands: SteeringQueue
) -> ReproductionResult:
    """Train an entry by one recipe, until it succeeds or no longer trial is left.

    Raises: FemtoError for a preset without a goal, and for whatever ends a training; Interrupted when a Stop
    among `commands` was obeyed.
    """
    if preset.goal is None:
        raise RunError(f"{preset.key} {preset.title} has no goal: there is nothing to reproduce")
    experiment = Experiment(preset.title, recipe_trials(preset, recipe, seed), preset)
    results = train_trials(experiment, runs, watch, commands)
    finished = [trial for trial in experiment.trials if trial.is_ours]
    successes = [
        result for trial, result in zip(finished, results, strict=True) if experiment.succeeded(trial)
    ]
    return _result(preset, preset.goal, seed, results, successes)


def train_trials(
    experiment: Experiment, runs: Path, watch: EventCallback, commands: SteeringQueue
) -> list[TrialResult]:
    """Train the trials in this process, one after another, without those that a success makes unneeded.

    Raises: FemtoError, Interrupted.
    """
    needed = (trial for trial in experiment.trials if not experiment.is_unneeded(trial))
    return [train_trial(trial, runs, watch, commands) for trial in needed]


def train_trial(trial: Trial, runs: Path, watch: EventCallback, commands: SteeringQueue) -> TrialResult:
    """Train one trial from where its run is to its end. Raises: FemtoError, Interrupted."""
    config = trial.config
    trial.read(runs)
    state = trial.state = trial.state or RunState(config)
    trial.is_ours = True
    with closing(_session(trial, runs)) as session:
        for event in session.record(commands):
            watch(event)
            state.fold([cast("AnyEvent", event)])
            if isinstance(event, RunFailed):
                words = f"{event.title}: {event.message}"
                raise RunError(f"entry {config.preset} by {config.recipe.name}: {words}")
    if state.finished is not None and state.finished.reason == "stopped":
        raise Interrupted
    if state.finished is None or trial.score is None:
        raise RunError(f"entry {config.preset}, {config.recipe.name}: it ended before it was scored")
    return TrialResult(state.finished, trial.score)


def _session(trial: Trial, runs: Path) -> Session:
    run = trial_run(trial.config, runs)
    if run is not None and (run.finished or run.can_continue):
        return continue_run(run.path)
    return prepare(trial.config, trial_folder(trial.config, runs))


def _result(
    preset: Preset,
    goal: Goal,
    seed: int,
    results: Sequence[TrialResult],
    successes: Sequence[TrialResult],
) -> ReproductionResult:
    """The outcome of trials of one recipe, and of those that reached the goal; both by length."""
    record, peer = preset.journal, preset.peer
    at_its_step = (result for result in results if record and result.finished.step == record.step)
    first = next(at_its_step, None)
    success = successes[0].finished if successes else None
    last, score = results[-1].finished, results[-1].score
    run = Path(last.run)
    info = read_info(run)
    reached = (found.elapsed_s for found in read_evals(run) if peer and found.val_loss <= peer.val_loss)
    return ReproductionResult(
        entry=preset.key,
        recipe=info.config.recipe.name,
        seed=seed,
        journal_step=record.step if record else None,
        journal_loss=record.loss if record else None,
        journal_seconds=record.elapsed_s if record else None,
        journal_verdict=record.verdict if record else None,
        loss_at_journal_step=first.finished.train_loss if first else None,
        score_at_journal_step=first.score.score if first else None,
        steps_to_success=success.step if success else None,
        seconds_to_success=success.elapsed_s if success else None,
        seconds_allowed=goal.seconds,
        val_loss=last.val_loss,
        score=score.score,
        unit=score.unit,
        goal=_goal_words(goal, score),
        verdict="success" if success else "fail",
        steps=last.step,
        seconds=last.elapsed_s,
        peer=peer.name if peer else None,
        peer_loss=peer.val_loss if peer else None,
        peer_seconds=peer.elapsed_s if peer else None,
        seconds_to_peer=next(reached, None),
        data=info.data.name,
        machine=info.machine,
        created=info.created,
    )


def _goal_words(goal: Goal, score: ScoreDone) -> str:
    """The goal, in the unit of a score."""
    if goal.score is None:
        return f"below a trigram model's {score.details['bits_a_byte.trigram']:.3f} bits per byte"
    return (
        f"at least {goal.score:.0%}" if score.unit == "share" else f"at most {goal.score:.3f} bits per byte"
    )
