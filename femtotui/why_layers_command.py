"""`femtotui why-layers`: the question of entry 3, answered by four trainings in one picture."""

from __future__ import annotations

import sys

import click

from .arguments import say
from .environment import prepare_blas
from .paths import runs_folder
from .reproduce_command import Narrator, saved_on_signals
from .run_options import RUNS_HELP


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
    from .why_layers import ANSWER, CurvesPicture, trained_curves  # noqa: PLC0415

    say("four trainings, everything equal but the layers and the norms' gains")
    with saved_on_signals() as commands:
        curves = trained_curves(seed, steps, runs_folder(runs), Narrator(), commands)
    if as_json:
        import msgspec  # noqa: PLC0415

        found = {"steps": steps, "seed": seed, "losses": {curve.name: curve.end for curve in curves}}
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        sys.stdout.buffer.flush()
        return
    from rich.console import Console  # noqa: PLC0415

    console = Console()
    console.print(CurvesPicture(curves))
    for sentence in ANSWER:
        console.print(sentence, highlight=False)
