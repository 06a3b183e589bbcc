"""The question of the journal's entry 3: why did more layers make it worse? Four trainings answer it.

4 and 6 layers (entries 2 and 3), each with LayerNorm gains drawn near 0, as femtoGPT does, and with gains of
1; everything else is equal.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style
from rich.text import Text

from femtotui.presets import load_preset, run_config

from ..chart.chart_model import ChartModel
from ..chart.frame_data import Ink
from ..chart.render import compose
from ..runs.library import state_overlay
from .experiment import Experiment, Trial

WHY_LAYERS = "why-layers"

STEPS = 600
"""By then the runs that learn well have reached the plateau of the grammar, and the other has not."""

SEED = 1
"""A seed in which the difference is large; in others six layers lag by less."""

ANSWER = (
    "In femtoGPT's wiring the residual stream itself runs through both norms of every layer, and their gains "
    "start near 0.",
    "So each further layer shrinks what reaches the end, and the gradient that comes back: six layers start "
    "with far less signal than four, and in some seeds fall hundreds of steps behind (seed 1 is one).",
    "With gains that start at 1, and nothing else changed, six layers learn as fast as four, and both "
    "better than before: it was never the size, and longer training only hid the reason.",
)

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
        config = run_config(load_preset(case.entry), recipe=case.recipe, steps=steps, seed=seed)
        trials.append(Trial(case.short_name, config))
    title = "entry 3 asks: why did more layers make it worse?"
    return Experiment(title, tuple(trials), answer=ANSWER)


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
