"""The question of the journal's entry 3: why did more layers make it worse? Four trainings answer it.

4 and 6 layers (entries 2 and 3), each with LayerNorm gains drawn near 0, as femtoGPT does, and with gains of
1; everything else is equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

import numpy as np
from rich.style import Style
from rich.text import Text

from femtotui.core.events import StreamStatistics
from femtotui.core.model.inspection import stream_by_depth
from femtotui.core.model.parameters import initial_parameters
from femtotui.presets import load_preset, run_config
from femtotui.presets.sources import open_source

from ..chart.chart_model import ChartModel
from ..chart.frame_data import Ink
from ..chart.render import compose
from ..runs.library import state_overlay
from .experiment import TRIAL_THREADS, Experiment, Trial

WHY_LAYERS = "why-layers"

STEPS = 600
"""By then the runs that learn well have reached the plateau of the grammar, and the other has not."""

SEED = 1
"""A seed in which the difference is large; in others six layers lag by less."""

ANSWER = (
    "In femtoGPT's wiring the residual stream itself runs through both norms of every layer, and their "
    "gains are drawn near 0.",
    "So a row of the stream is multiplied by random numbers, coordinate by coordinate, again and again, "
    "and a few win: before training 28 of 64 coordinates carry it at the bottom, 9 after one layer and 4 "
    "from two on. Its size does not fall with depth.",
    "With gains that start at 1, and nothing else changed, 28 carry it at every depth, and six layers "
    "learn as fast as four, both better than before: it was never the number of layers. How far six "
    "layers fall behind with gains near 0 is chance: another seed or another number of threads ends "
    "elsewhere.",
)

STREAM_TEXTS, STREAM_SEEDS = 8, 10
"""Texts of a context, and seeds of parameters, over which the stream is measured before training."""

CHART_HEIGHT = 18


@dataclass(frozen=True)
class Case:
    """One of the trainings; `short_name` fits beside a chart."""

    name: str
    short_name: str
    entry: str
    recipe: str
    colour: str


CASES = (
    Case("4 layers, gains near 0", "4 layers, near 0", "2", "journal", "bright_blue"),
    Case("6 layers, gains near 0", "6 layers, near 0", "3", "journal", "bright_red"),
    Case("4 layers, gains of 1", "4 layers, at 1", "2", "journal-gains-1", "bright_cyan"),
    Case("6 layers, gains of 1", "6 layers, at 1", "3", "journal-gains-1", "bright_yellow"),
)


def why_layers_experiment(steps: int = STEPS, seed: int = SEED) -> Experiment:
    """A trial for each of `CASES`, in their order."""
    trials = []
    for case in CASES:
        config = run_config(
            load_preset(case.entry), recipe=case.recipe, steps=steps, seed=seed, threads=TRIAL_THREADS
        )
        trials.append(Trial(case.short_name, config))
    title = "entry 3 asks: why did more layers make it worse?"
    return Experiment(title, tuple(trials), answer=ANSWER)


def stream_rows() -> list[tuple[str, list[StreamStatistics]]]:
    """The residual stream before training, by depth, for the two cases of six layers: means over seeds."""
    return [(case.name, _stream(case)) for case in CASES if case.entry == "3"]


def _stream(case: Case) -> list[StreamStatistics]:
    config = run_config(load_preset(case.entry), recipe=case.recipe)
    n = STREAM_TEXTS * config.model.context
    by_seed = []
    for seed in range(STREAM_SEEDS):
        text = open_source(config.data, seed).train[:n]
        ids_BT = np.frombuffer(text, np.uint8).astype(np.int32).reshape(STREAM_TEXTS, -1)
        flat_P = initial_parameters(config.model, config.recipe.init, seed)
        by_seed.append(stream_by_depth(config.model, config.recipe, flat_P, ids_BT))
    return [
        StreamStatistics(fmean(s.rms for s in depth), fmean(s.carrying for s in depth))
        for depth in zip(*by_seed, strict=True)
    ]


def curves_text(experiment: Experiment, width: int) -> Text:
    """The loss curves as a chart for the terminal, and below it the final loss of each."""
    model = ChartModel()
    states = [trial.state for trial in experiment.trials if trial.state is not None]
    model.set_overlays([state_overlay(case.short_name, s) for case, s in zip(CASES, states, strict=True)])
    picture = model.frame()
    text = Text(no_wrap=True)
    if picture is None:
        return text
    styles = [Style()] * len(Ink)
    for number, case in enumerate(CASES):
        styles[Ink.OTHER_1 + number] = Style.parse(case.colour)
    grid = compose(picture, CHART_HEIGHT, width)
    for row in range(grid.height):
        parts = ((part.text, part.style or "") for part in grid.strip(row, styles))
        text.append_text(Text.assemble(*parts, "\n"))
    for case, state in zip(CASES, states, strict=True):
        text.append("━━ ", case.colour).append(f"{case.name}: {state.smoothed_loss:.4f}\n")
    return text
