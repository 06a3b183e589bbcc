"""The race on a preset: the journal's recipe against ours, or ours against another program's result."""

from __future__ import annotations

from femtotui.core.config import RunConfig
from femtotui.core.errors import ConfigError
from femtotui.presets import Goal, Preset, run_config

from ..text.formats import duration
from .experiment import Experiment, Reference, Trial


def race(preset: Preset, seed: int = 0) -> Experiment:
    """The trials of both recipes; for a preset that is not of the journal ours only, beside its peer.

    Raises: ConfigError for a preset with nothing to race against.
    """
    if preset.goal is None or (preset.journal is None and preset.peer is None):
        raise ConfigError(
            f"{preset.title} has no goal and nothing to race against; the built-in presets have"
        )
    recipes = ("journal", "modern") if preset.journal is not None else ("modern",)
    return Experiment(
        preset.key,
        f"#{preset.key} {preset.title} · goal: {_success(preset.goal)}",
        tuple(trial for recipe in recipes for trial in recipe_trials(preset, recipe, seed)),
        preset=preset,
        reference=_reference(preset),
    )


def recipe_trials(preset: Preset, recipe: str, seed: int) -> tuple[Trial, ...]:
    """The trials of one recipe: a longer one is needed only if the first misses the goal."""
    first, *longer = trial_configs(preset, recipe, seed)
    trial = Trial(recipe, first)
    return trial, *(Trial(f"{recipe}, {config.train.steps:,}", config, trial) for config in longer)


def trial_configs(preset: Preset, recipe: str, seed: int) -> tuple[RunConfig, ...]:
    """The runs that may be needed, shortest first.

    A run's length is fixed before it begins, since the learning rate falls until its end. So an entry is
    trained for the journal's number of steps first, and by our recipe then for its usual one.
    """
    usual = run_config(preset, recipe=recipe, seed=seed)
    if preset.journal is None:
        return (usual,)
    at_its_step = run_config(preset, recipe=recipe, steps=preset.journal.step, seed=seed)
    longer = recipe != "journal" and preset.steps > preset.journal.step
    return (at_its_step, usual) if longer else (at_its_step,)


def _success(goal: Goal) -> str:
    """The goal in words, before anything has been scored."""
    if goal.score is None:
        what = "better than a trigram model"
    elif goal.score > 1:
        what = f"{goal.score:.3f} bits a byte"
    else:
        what = f"{goal.score:.0%} of the tasks"
    return f"{what} within {duration(goal.seconds)}"


def _reference(preset: Preset) -> Reference | None:
    record, peer = preset.journal, preset.peer
    if record is not None:
        return Reference("the journal's own", record.step, record.loss, record.elapsed_s, record.verdict)
    if peer is not None:
        return Reference(peer.name, None, peer.val_loss, peer.elapsed_s, "validation")
    return None
