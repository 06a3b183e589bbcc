"""`femtotui reproduce`: the journal's entries trained again, one table at the end."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

import click

from ..blas.kernel import prepare_blas
from ..paths import runs_folder
from .options import RUNS_HELP, say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from femtotui.core.commands import Steering
    from femtotui.core.events import Event

    from ..experiments.reproduction import ReproductionResult

_RECIPES = {"journal": ("journal",), "modern": ("modern",), "both": ("journal", "modern")}
_REPORT_SECONDS = 15.0


@click.command()
@click.argument("entries", metavar="[ENTRY]...", nargs=-1)
@click.option("--recipe", type=click.Choice(tuple(_RECIPES)), default="both", show_default=True)
@click.option("--seeds", type=click.IntRange(1, 100), help="So many seeds, from 0 on.")
@click.option("--seed", type=int, help="This seed only (default: 0).")
@click.option("--runs", metavar="DIR", help=RUNS_HELP)
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object an entry, recipe and seed, as they end."
)
def reproduce(
    entries: tuple[str, ...],
    recipe: str,
    seeds: int | None,
    seed: int | None,
    runs: str | None,
    as_json: bool,
) -> None:
    """Train the journal's entries again (default: all presets), and set the results beside what it noted.

    What is finished already is not trained again, and what was broken off goes on. The English entries take
    the stand-in unless `femtotui data english` has fetched the real text.
    """
    if seeds is not None and seed is not None:
        raise click.UsageError("give --seeds or --seed, not both")
    chosen = range(seeds) if seeds is not None else (seed or 0,)
    prepare_blas()
    outcomes = []
    with saved_on_signals() as commands:
        for outcome in _outcomes(entries, _RECIPES[recipe], chosen, runs_folder(runs), commands):
            outcomes.append(outcome)
            if as_json:
                _print_json(outcome)
    if not as_json:
        from rich.console import Console  # noqa: PLC0415

        from .reproduce_table import reproduce_table  # noqa: PLC0415

        Console().print(reproduce_table(outcomes))


@contextmanager
def saved_on_signals() -> Iterator[SimpleQueue[Steering]]:
    """Commands for trainings that a signal is to stop and save; then says that the same command goes on."""
    from ..experiments.reproduction import Interrupted  # noqa: PLC0415
    from ..trainer.headless import stop_on_signals  # noqa: PLC0415

    commands: SimpleQueue[Steering] = SimpleQueue()
    with stop_on_signals(commands):
        try:
            yield commands
        except Interrupted:
            say("saved; the same command goes on from there")
            raise


def _outcomes(
    entries: tuple[str, ...],
    recipes: tuple[str, ...],
    seeds: range | tuple[int, ...],
    runs: Path,
    commands: SimpleQueue[Steering],
) -> Iterator[ReproductionResult]:
    from femtotui.presets import list_presets, load_preset  # noqa: PLC0415

    from ..experiments.reproduction import reproduce as train_again  # noqa: PLC0415

    presets = [load_preset(entry) for entry in entries] if entries else list_presets()
    for preset in presets:
        # What came after the journal was never trained by its recipe; who asks for that alone, gets it.
        for recipe in recipes if preset.journal or len(recipes) == 1 else recipes[1:]:
            for seed in seeds:
                say(f"#{preset.key} {preset.title} · {recipe} · seed {seed}")
                yield train_again(preset, recipe, seed, runs, Narrator(), commands)


class Narrator:
    """A line now and then while a run goes on, and one at its end."""

    def __init__(self) -> None:
        self._said_s = 0.0

    def __call__(self, event: Event) -> None:
        from femtotui.core.events import EvalDone, RunFinished, RunStarted, ScoreDone  # noqa: PLC0415

        if isinstance(event, RunStarted):
            self._said_s = event.elapsed_s
            for note in event.notes:
                say(f"  note: {note}")
        elif isinstance(event, EvalDone) and event.elapsed_s - self._said_s >= _REPORT_SECONDS:
            self._said_s = event.elapsed_s
            say(f"  step {event.step:,}: loss {event.train_loss:.4f}, validation {event.val_loss:.4f}")
        elif isinstance(event, ScoreDone) and event.thorough:
            say(f"  step {event.step:,}: {event.summary}")
        elif isinstance(event, RunFinished):
            say(f"  {event.step:,} steps in {event.elapsed_s:.0f} s, validation {event.val_loss:.4f}")


def _print_json(outcome: ReproductionResult) -> None:
    import msgspec  # noqa: PLC0415

    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
    sys.stdout.buffer.flush()


@click.command("why-layers")
@click.option("--steps", type=click.IntRange(1, 1_000_000), default=600, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--runs", metavar="DIR", help=RUNS_HELP)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: each training's last loss.")
def why_layers(steps: int, seed: int, runs: str | None, as_json: bool) -> None:
    """Why did more layers make it worse? The question of the journal's entry 3.

    Trains 4 and 6 layers, with LayerNorm gains drawn near 0 and with gains of 1, everything else equal. It
    takes a minute or two, and a second time nothing.
    """
    prepare_blas()
    from ..experiments.reproduction import train_trials  # noqa: PLC0415
    from ..experiments.why_layers import ANSWER, CASES, curves_text, why_layers_experiment  # noqa: PLC0415

    say("four trainings, everything equal but the layers and the norms' gains")
    with saved_on_signals() as commands:
        experiment = why_layers_experiment(steps, seed)
        results = train_trials(experiment, runs_folder(runs), Narrator(), commands)
    if as_json:
        import msgspec  # noqa: PLC0415

        ends = {case.name: result.finished.train_loss for case, result in zip(CASES, results, strict=True)}
        found = {"steps": steps, "seed": seed, "losses": ends}
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        sys.stdout.buffer.flush()
        return
    from rich.console import Console  # noqa: PLC0415

    console = Console()
    console.print(curves_text(experiment, console.width), end="")
    for sentence in ANSWER:
        console.print(sentence, highlight=False)
