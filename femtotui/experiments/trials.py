"""Which trainings answer a question about an entry, where each lies, and whether it reached the goal.

The command `reproduce` and the race in the app ask the same questions, so they share the same runs: a run
lies in a folder that its settings name.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import msgspec

from femtotui.core.config import RunConfig
from femtotui.core.events import ScoreDone
from femtotui.core.run_folder.catalog import RunSummary, list_runs
from femtotui.core.run_folder.logs import read_evals, read_scores
from femtotui.presets import Goal, Preset, run_config

FOLDER = "reproduce"
"""Under the folder of all runs; `femtotui runs` does not look in there."""


def tries(preset: Preset, recipe: str, seed: int) -> tuple[RunConfig, ...]:
    """The trainings that may be needed, in their order: a later one only if the one before missed the goal.

    A run's length is settled before it begins, since the rate falls until its end. So an entry is trained for
    the journal's own steps first, and by our recipe then for its usual ones; the journal's recipe stops
    where the journal did.
    """
    usual = run_config(preset, recipe=recipe, seed=seed)
    if preset.journal is None:
        return (usual,)
    at_its_step = run_config(preset, recipe=recipe, steps=preset.journal.step, seed=seed)
    longer = recipe != "journal" and preset.steps > preset.journal.step
    return (at_its_step, usual) if longer else (at_its_step,)


def trial_folder(config: RunConfig, runs: Path) -> Path:
    """Where the run of these settings lies. The name says what it holds, and changes with every setting."""
    settings = hashlib.sha256(msgspec.json.encode(config)).hexdigest()[:8]
    train = config.train
    name = f"{config.preset}-{config.recipe.name}-seed{train.seed}-{train.steps}steps-{settings}"
    return runs / FOLDER / name


def trial_run(config: RunConfig, runs: Path) -> RunSummary | None:
    """The newest run of these settings that has something to show; None before there is one.

    Raises: RunError if the folder cannot be read.
    """
    found = [run for run in list_runs(trial_folder(config, runs)) if run.info is not None]
    whole = (run for run in found if run.finished or run.can_continue or run.holder is not None)
    return next(whole, None)


def thorough_score(run: Path) -> ScoreDone | None:
    """What a run that came to its end was judged then."""
    thorough = [score for score in read_scores(run) if score.thorough]
    return thorough[-1] if thorough else None


def reaches(goal: Goal, score: ScoreDone) -> bool:
    """Whether a score is what success means."""
    if goal.score is None:
        return score.score < score.details.get("bits_a_byte.trigram", -math.inf)
    return score.score <= goal.score if score.unit == "bits a byte" else score.score >= goal.score


def goal_words(goal: Goal, score: ScoreDone) -> str:
    """The goal, in the unit of a score."""
    if goal.score is None:
        return f"below a trigram model's {score.details['bits_a_byte.trigram']:.3f} bits a byte"
    if score.unit == "bits a byte":
        return f"at most {goal.score:.3f} bits a byte"
    return f"at least {goal.score:.0%}"


def seconds_to_validation(run: Path, level: float) -> float | None:
    """Seconds of training to the first evaluation at or below a level; None if none was."""
    evals = read_evals(run)
    return next((found.elapsed_s for found in evals if found.val_loss <= level), None)
