"""The question of the journal's entry 3: why did more layers make it worse? Four trainings answer it.

4 and 6 layers (entries 2 and 3), each with LayerNorm gains drawn near 0, as femtoGPT does, and with gains of
1; everything else is equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from femtotui.core.commands import Steering
from femtotui.core.run_folder.logs import read_steps
from femtotui.presets import load_preset, run_config

from ..chart.braille import NOBODY, Floats, Window, draw
from .reproduction import Watcher, train_to_the_end

STEPS = 600
"""By then the entries that learn well stand on the plateau of the grammar, and the other does not."""

SEED = 1
"""One of the seeds in which the difference is plain; in others six layers lag by less."""

SMOOTHED_STEPS = 20

ANSWER = (
    "In femtoGPT's wiring the residual stream itself runs through both norms of every layer, and their gains "
    "start near 0.",
    "So each further layer shrinks what reaches the end, and the gradient that comes back: six layers start "
    "with far less signal than four, and in some seeds fall hundreds of steps behind (seed 1 is one).",
    "With gains that start at 1, and nothing else changed, six layers learn as fast as four, and both "
    "better than before: it was never the size, and longer training only hid the reason.",
)


@dataclass(frozen=True)
class Case:
    """One of the trainings; `short_name` has room beside a chart."""

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


@dataclass(frozen=True)
class LossCurve:
    """One training: its loss (nats a token), smoothed, by step."""

    name: str
    colour: str
    loss_K: Floats

    @property
    def end(self) -> float:
        return float(self.loss_K[-1])


def trained_curves(
    seed: int, steps: int, runs: Path, watch: Watcher, commands: SimpleQueue[Steering] | None = None
) -> list[LossCurve]:
    """Train all four, or read them where they are finished. Raises: FemtoError, Interrupted."""
    curves = []
    for case in CASES:
        config = run_config(load_preset(case.entry), recipe=case.recipe, steps=steps, seed=seed)
        run = train_to_the_end(config, runs, watch, commands).finished.run
        losses_K = np.array([step.loss for step in read_steps(Path(run))])
        curves.append(LossCurve(case.name, case.colour, _smoothed(losses_K)))
    return curves


def _smoothed(losses_K: Floats) -> Floats:
    """The mean of the last steps, fewer at the beginning."""
    sums_K = np.cumsum(losses_K)
    before_K = np.concatenate([np.zeros(SMOOTHED_STEPS), sums_K[:-SMOOTHED_STEPS]])[: len(sums_K)]
    means_K: Floats = (sums_K - before_K) / np.minimum(np.arange(1, len(sums_K) + 1), SMOOTHED_STEPS)
    return means_K


class CurvesPicture:
    """The curves in one chart, as high as `height` lines and as wide as the console."""

    def __init__(self, curves: Sequence[LossCurve], height: int = 16) -> None:
        self._curves, self._height = curves, height

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(20, options.max_width - 8)
        losses = np.concatenate([curve.loss_K for curve in self._curves])
        low, high = float(losses.min()), min(float(losses.max()), 4.0)
        steps = max(len(curve.loss_K) for curve in self._curves)
        window = Window(1.0, float(steps), low, max(high, low + 0.1))
        series = [(np.arange(1.0, len(c.loss_K) + 1), c.loss_K) for c in self._curves]
        cells = draw(series, window, self._height, width)
        for row in range(self._height):
            level = window.y_high - (window.y_high - low) * row / (self._height - 1)
            yield Segment(f"{level:6.2f} │" if row % 3 == 0 else "       │")
            for code, owner in zip(cells.codes_HW[row], cells.owners_HW[row], strict=True):
                style = None if owner == NOBODY else Style.parse(self._curves[owner].colour)
                yield Segment(chr(code) if owner != NOBODY else " ", style)
            yield Segment.line()
        yield Segment(f"       ╰ 1{'─' * (width - len(f'{steps:,}') - 10)} step {steps:,}\n")
        for curve in self._curves:
            yield Segment("        ━━ ", Style.parse(curve.colour))
            yield Segment(f"{curve.name}: {curve.end:.4f}\n")
