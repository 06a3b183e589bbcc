"""`femtotui reproduce` and `femtotui why-layers`: train the journal's entries again, answer its question."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import TYPE_CHECKING

import click
from click import Choice, IntRange, option

from femtotui.core.events import EvalDone, Event, RunFinished, RunStarted, ScoreDone
from femtotui.presets import list_presets, load_preset

from ..blas.kernel import prepare_blas
from ..text.formats import UNKNOWN, duration, loss, score
from ..text.safe import say
from .options import CliCommand, json_lines_option, preset_argument, runs_option
from .output import print_json_line, print_rich, styled, table, terminal_width

if TYPE_CHECKING:
    from rich.table import Table

    from femtotui.core.commands import Steering

    from ..experiments.reproduction import ReproductionResult
    from .output import Cell

_RECIPES = {"journal": ("journal",), "modern": ("modern",), "both": ("journal", "modern")}
_REPORT_SECONDS = 15.0
_HEADERS = (">#", "journal", "recipe", "at its step", "success after", "end", "verdict")


@click.command(
    cls=CliCommand,
    examples={
        "reproduce 2 10 --seeds 3": "two entries",
        "reproduce --recipe modern --json": "all, by our recipe",
    },
)
@preset_argument("entries", metavar="[ENTRY]...", nargs=-1)
@option(
    "--recipe",
    type=Choice(tuple(_RECIPES)),
    default="both",
    show_default=True,
    help="The recipe to train with.",
)
@option("--seeds", type=IntRange(1, 100), help="Number of seeds, starting at 0.")
@option("--seed", type=int, help="This seed only (default: 0).")
@runs_option
@json_lines_option
def reproduce(
    entries: tuple[str, ...], recipe: str, seeds: int | None, seed: int | None, runs: Path, as_json: bool
) -> None:
    """Train the journal's entries again (default: all presets), and compare with the results that it notes.

    Finished runs are not trained again, interrupted ones are resumed. The English entries use the stand-in
    text unless `femtotui data english` has downloaded the real one.
    """
    if seeds is not None and seed is not None:
        raise click.UsageError("give --seeds or --seed, not both")
    chosen = range(seeds) if seeds is not None else (seed or 0,)
    prepare_blas()
    from ..experiments.reproduction import reproduce as train_again  # noqa: PLC0415  (loads NumPy)

    recipes = _RECIPES[recipe]
    outcomes = []
    with saved_on_signals() as commands:
        for preset in [load_preset(entry) for entry in entries] or list_presets():
            # Presets that are not the journal's use its recipe only if no other is asked for.
            for name in recipes if preset.journal or len(recipes) == 1 else recipes[1:]:
                for number in chosen:
                    say(f"#{preset.key} {preset.title} · {name} · seed {number}")
                    outcomes.append(train_again(preset, name, number, runs, ProgressLines(), commands))
                    if as_json:
                        print_json_line(outcomes[-1])
    if not as_json:
        print_rich(reproduce_table(outcomes))


@contextmanager
def saved_on_signals() -> Iterator[SimpleQueue[Steering]]:
    """A queue of commands for trainings, through which a signal stops and saves them."""
    from ..experiments.reproduction import Interrupted  # noqa: PLC0415
    from ..trainer.session import stop_on_signals  # noqa: PLC0415

    commands: SimpleQueue[Steering] = SimpleQueue()
    with stop_on_signals(commands):
        try:
            yield commands
        except Interrupted:
            say("saved; run the same command again to continue")
            raise


class ProgressLines:
    """Prints a line every 15 seconds of a training, and one at its end."""

    def __init__(self) -> None:
        self._printed_s = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._printed_s = event.elapsed_s
            for note in event.notes:
                say(f"  note: {note}")
        elif isinstance(event, EvalDone) and event.elapsed_s - self._printed_s >= _REPORT_SECONDS:
            self._printed_s = event.elapsed_s
            say(f"  step {event.step:,}: loss {event.train_loss:.4f}, validation {event.val_loss:.4f}")
        elif isinstance(event, ScoreDone) and event.thorough:
            say(f"  step {event.step:,}: {event.summary}")
        elif isinstance(event, RunFinished):
            say(f"  {event.step:,} steps in {event.elapsed_s:.0f} s, validation {event.val_loss:.4f}")


@click.command("why-layers", cls=CliCommand, examples={"why-layers": "about a minute"})
@option("--steps", type=IntRange(1, 1_000_000), default=600, show_default=True, help="How many steps each.")
@option("--seed", type=int, default=1, show_default=True, help="A seed gives the same runs on this machine.")
@runs_option
@option("--json", "as_json", is_flag=True, help="One JSON object: final losses, and the stream by depth.")
def why_layers(steps: int, seed: int, runs: Path, as_json: bool) -> None:
    """Why did more layers make it worse? The question of the journal's entry 3.

    Trains 4 and 6 layers, with LayerNorm gains initialised near 0 and at 1, everything else equal. This takes
    a minute or two the first time; finished trainings are not repeated.
    """
    prepare_blas()
    from ..experiments.reproduction import train_trials  # noqa: PLC0415
    from ..experiments.why_layers import (  # noqa: PLC0415
        ANSWER,
        CASES,
        curves_text,
        stream_rows,
        why_layers_experiment,
    )

    say("four trainings, everything equal but the layers and the norms' gains")
    with saved_on_signals() as commands:
        experiment = why_layers_experiment(steps, seed)
        results = train_trials(experiment, runs, ProgressLines(), commands)
    if as_json:
        ends = {case.name: result.finished.train_loss for case, result in zip(CASES, results, strict=True)}
        stream = {
            name: [{"rms": depth.rms, "carrying": depth.carrying} for depth in depths]
            for name, depths in stream_rows()
        }
        print_json_line({"steps": steps, "seed": seed, "losses": ends, "stream": stream})
    else:
        print_rich(curves_text(experiment, terminal_width()), stream_table(), *ANSWER)


def stream_table() -> Table:
    """The coordinates that carry the residual stream, and its size, after each layer before training."""
    from ..experiments.why_layers import stream_rows  # noqa: PLC0415

    rows: list[Sequence[Cell]] = []
    for name, depths in stream_rows():
        rows.append([name, "coordinates", *(f"{depth.carrying:.0f}" for depth in depths)])
        rows.append(["", "size (RMS)", *(f"{depth.rms:.2g}" for depth in depths)])
    n_layers = len(rows[0]) - 3
    return table(("before training", "stream", ">input", *(f">{i + 1}" for i in range(n_layers))), rows)


def reproduce_table(outcomes: Sequence[ReproductionResult]) -> Table:
    """A row per outcome. A failure is shown as one, with the goal that was missed.

    Where an entry was trained with several seeds by a recipe, a row of medians follows, each with its range.
    """
    rows: list[Sequence[Cell]] = []
    for _, group in groupby(outcomes, key=lambda outcome: (outcome.entry, outcome.recipe)):
        seeds = list(group)
        rows += map(_cells, seeds)
        if len(seeds) > 1:
            rows.append([styled(cell, "bold") for cell in _median_cells(seeds)])
    return table(_HEADERS, rows)


def _cells(o: ReproductionResult) -> list[str]:
    end = f"{o.val_loss:.4f}, {score(o.score, o.unit)}"
    verdict = "success" if o.verdict == "success" else f"fail: {o.goal} wanted"
    recipe = f"{o.recipe}, seed {o.seed}"
    return [o.entry, _theirs(o), recipe, _at_its_step(o), success_words(o), end, verdict]


def _theirs(o: ReproductionResult) -> str:
    """The result in the journal, or else of another program."""
    if o.journal_loss is not None and o.journal_step is not None:
        took = duration(o.journal_seconds)
        return f"{o.journal_loss:.4f} at {o.journal_step:,}, {took}, {o.journal_verdict}"
    if o.peer_loss is None:
        return UNKNOWN
    return f"{o.peer}: {o.peer_loss:.4f}, {duration(o.peer_seconds)}"


def _at_its_step(o: ReproductionResult) -> str:
    if o.loss_at_journal_step is not None and o.score_at_journal_step is not None:
        return f"{o.loss_at_journal_step:.4f}, {score(o.score_at_journal_step, o.unit)}"
    return f"its loss after {o.seconds_to_peer:.1f} s" if o.seconds_to_peer is not None else UNKNOWN


def success_words(o: ReproductionResult) -> str:
    """Steps and time to success; says so if that was slower than allowed."""
    if o.steps_to_success is None or o.seconds_to_success is None:
        return UNKNOWN
    slow = "" if o.seconds_to_success <= o.seconds_allowed else f" (allowed: {duration(o.seconds_allowed)})"
    return f"{o.steps_to_success:,} steps, {duration(o.seconds_to_success)}{slow}"


def _median_cells(seeds: Sequence[ReproductionResult]) -> list[str]:
    score_words = partial(score, unit=seeds[0].unit)
    losses = _spread(seeds, "loss_at_journal_step", loss)
    steps = _spread(seeds, "steps_to_success", "{:,.0f}".format)
    return [
        "",
        "",
        f"{seeds[0].recipe}, median of {len(seeds)}",
        f"{losses}, {_spread(seeds, 'score_at_journal_step', score_words)}" if losses else UNKNOWN,
        f"{steps} steps, {_spread(seeds, 'seconds_to_success', duration)}" if steps else UNKNOWN,
        f"{_spread(seeds, 'val_loss', loss)}, {_spread(seeds, 'score', score_words)}",
        f"{sum(o.verdict == 'success' for o in seeds)} of {len(seeds)} succeed",
    ]


def _spread(seeds: Sequence[ReproductionResult], field: str, words: Callable[[float], str]) -> str:
    """Median, minimum and maximum of a field; "" if no seed has a value."""
    values = [float(value) for o in seeds if (value := getattr(o, field)) is not None]
    if not values:
        return ""
    return f"{words(median(values))} [{words(min(values))} to {words(max(values))}]"
