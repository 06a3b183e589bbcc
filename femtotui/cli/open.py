"""`femtotui` and `femtotui open`: the app, on what was left, on a preset or on a run."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click import option

from .options import CliCommand, complete_target, data_option, recipe_option, require_terminal, runs_option


@click.command(
    "open",
    cls=CliCommand,
    examples={
        "": "resume what was left, or begin entry 2",
        "7": "train entry 7",
        "latest": "look at a run, and resume it",
        "--browse": "look around, and train nothing yet",
    },
)
@click.argument("target", metavar="[PRESET|RUN]", required=False, shell_complete=complete_target)
@option("--browse", is_flag=True, help="Open without training anything.")
@recipe_option()
@option("--seed", type=int, help="With the same threads, a seed gives the same run.")
@runs_option
@data_option
def open_app(
    target: str | None,
    browse: bool,
    recipe: str | None,
    seed: int | None,
    runs: Path,
    data: tuple[str, ...],
) -> int:
    """Open the app: on PRESET (1 to 14, or a .toml file), on RUN (its name, a part of it, or `latest`), or
    else on what was left.
    """
    if "TEXTUAL_DRIVER" not in os.environ:  # `textual serve` shows the app in a browser, through pipes
        require_terminal(f"the app needs a terminal; without one, use `femtotui train {target or 2}`")
    from ..app.start import run_app  # noqa: PLC0415

    return run_app(target, browse=browse, recipe=recipe, seed=seed, runs=runs, data=data)
