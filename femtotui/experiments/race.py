"""The contests there are: a race of the recipes for every preset, and the question of entry 3."""

from __future__ import annotations

from pathlib import Path

from femtotui.core.errors import ConfigError
from femtotui.presets import Goal, Preset, load_preset, run_config

from ..runs.handle import TrainerFactory
from ..text.formats import duration
from .experiment import Experiment, Reference, Trial
from .trials import tries
from .why_layers import ANSWER, CASES, SEED, STEPS

WHY_LAYERS = "why-layers"


def race(preset: Preset, runs: Path, factory: TrainerFactory, seed: int = 0) -> Experiment:
    """The journal's recipe and ours on one preset; ours for longer, too, where the journal's steps do not do.

    What came after the journal was never trained by its recipe: there, ours runs against the peer alone.

    Raises: ConfigError for a preset with nothing to race against.
    """
    if preset.goal is None or (preset.journal is None and preset.peer is None):
        raise ConfigError(f"{preset.title} has no goal and no one to race against; the built-in presets have")
    lanes: list[Trial] = []
    for recipe in ("journal", "modern") if preset.journal is not None else ("modern",):
        first: Trial | None = None
        for config in tries(preset, recipe, seed):
            name = recipe if first is None else f"{recipe}, {config.train.steps:,}"
            lane = Trial(name, config, runs, factory, second_to=first)
            first = first or lane
            lanes.append(lane)
    return Experiment(
        preset.key,
        f"#{preset.key} {preset.title} · goal: {_success(preset.goal)}",
        lanes,
        preset_key=preset.key,
        goal=preset.goal,
        noted=_noted(preset),
    )


def why_layers_contest(runs: Path, factory: TrainerFactory) -> Experiment:
    """4 and 6 layers, with gains near 0 and gains of 1: the runs of `femtotui why-layers`."""
    lanes = [
        Trial(
            case.short_name,
            run_config(load_preset(case.entry), recipe=case.recipe, steps=STEPS, seed=SEED),
            runs,
            factory,
        )
        for case in CASES
    ]
    return Experiment(WHY_LAYERS, "entry 3 asks: why did more layers make it worse?", lanes, answer=ANSWER)


def _success(goal: Goal) -> str:
    """What success means, before anything has been judged."""
    if goal.score is None:
        what = "better than a trigram model"
    elif goal.score > 1:
        what = f"{goal.score:.3f} bits a byte"
    else:
        what = f"{goal.score:.0%} of the tasks"
    return f"{what} within {duration(goal.seconds)}"


def _noted(preset: Preset) -> Reference | None:
    record, peer = preset.journal, preset.peer
    if record is not None:
        return Reference("the journal's own", record.step, record.loss, record.elapsed_s, record.verdict)
    return (
        Reference(peer.name, None, peer.val_loss, peer.elapsed_s, "validation") if peer is not None else None
    )
