"""The journal's entries trained again, by its own recipe or ours, and judged by measure.

Each training is an ordinary run in a folder of its own that its settings name. Asked for a second time, what
is finished is only read, and what was broken off goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue

import msgspec

from femtotui.core.commands import Steering
from femtotui.core.config import RunConfig
from femtotui.core.errors import RunError
from femtotui.core.events import Event, RunFailed, RunFinished, ScoreDone
from femtotui.core.run_folder.catalog import list_runs
from femtotui.core.run_folder.info import read_info
from femtotui.presets import Goal, Preset

from ..trainer.session import Session, continue_run, prepare
from .trials import goal_words, reaches, seconds_to_validation, thorough_score, trial_folder, tries

Watcher = Callable[[Event], None]


class ReproductionResult(msgspec.Struct, frozen=True, kw_only=True):
    """One entry by one recipe and seed, beside what the journal noted, or what another program reached.

    Losses are in nats a token. `score` is in `unit`; `steps_to_success` and `seconds_to_success` (of
    training) are those of the shortest of its runs that succeeded, None if none did. What is the journal's
    is None for a preset that is not, and what is the peer's (see `presets.Peer`) for one that is;
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
    """Somebody asked it to stop; all that was trained is saved, and the same request goes on from there."""


class Trained(msgspec.Struct, frozen=True):
    """What became of one run."""

    finished: RunFinished
    score: ScoreDone


def reproduce(
    preset: Preset,
    recipe: str,
    seed: int,
    runs: Path,
    watch: Watcher,
    commands: SimpleQueue[Steering] | None = None,
) -> ReproductionResult:
    """Train an entry as `trials.tries` has it, until it succeeds or no further try is left.

    Raises
    ------
    FemtoError
        For a preset without a goal, and for whatever ends a training.
    Interrupted
        When a Stop among `commands` was obeyed.
    """
    if preset.goal is None:
        raise RunError(f"{preset.key} {preset.title} has no goal: there is nothing to reproduce")
    trained: list[Trained] = []
    for config in tries(preset, recipe, seed):
        trained.append(train_to_the_end(config, runs, watch, commands))
        if reaches(preset.goal, trained[-1].score):
            break
    return _outcome(preset, preset.goal, seed, trained)


def _outcome(preset: Preset, goal: Goal, seed: int, trained: Sequence[Trained]) -> ReproductionResult:
    record, peer = preset.journal, preset.peer
    first, last = (trained[0] if record else None), trained[-1]
    success = reaches(goal, last.score)
    ours, judged = last.finished, last.score
    run = Path(ours.run)
    info = read_info(run)
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
        steps_to_success=ours.step if success else None,
        seconds_to_success=ours.elapsed_s if success else None,
        seconds_allowed=goal.seconds,
        val_loss=ours.val_loss,
        score=judged.score,
        unit=judged.unit,
        goal=goal_words(goal, judged),
        verdict="success" if success else "fail",
        steps=ours.step,
        seconds=ours.elapsed_s,
        peer=peer.name if peer else None,
        peer_loss=peer.val_loss if peer else None,
        peer_seconds=peer.elapsed_s if peer else None,
        seconds_to_peer=seconds_to_validation(run, peer.val_loss) if peer else None,
        data=info.data.name,
        machine=info.machine,
        created=info.created,
    )


def train_to_the_end(
    config: RunConfig, runs: Path, watch: Watcher, commands: SimpleQueue[Steering] | None = None
) -> Trained:
    """A run of `config` under `runs`, taken up where it is, to its end. Raises: FemtoError, Interrupted."""
    session = _session(config, trial_folder(config, runs))
    finished: RunFinished | None = None
    score: ScoreDone | None = None
    try:
        for event in session.record(SimpleQueue() if commands is None else commands):
            watch(event)
            if isinstance(event, RunFailed):
                raise RunError(
                    f"entry {config.preset} by {config.recipe.name}: {event.title}: {event.message}"
                )
            if isinstance(event, ScoreDone) and event.thorough:
                score = event
            if isinstance(event, RunFinished):
                finished = event
        if finished is not None and finished.reason == "stopped":
            raise Interrupted
        score = score or thorough_score(session.run.path)
        if finished is None or score is None:
            raise RunError(f"entry {config.preset}, {config.recipe.name}: it ended before it was judged")
        return Trained(finished, score)
    finally:
        session.close()


def _session(config: RunConfig, folder: Path) -> Session:
    for run in list_runs(folder):
        if run.can_continue or run.finished:
            return continue_run(run.path)
    return prepare(config, folder)
