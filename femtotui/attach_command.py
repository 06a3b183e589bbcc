"""`femtotui attach`: back to a training that went on without the app."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from femtotui.core.errors import RunError

from .paths import runs_folder
from .run_options import runs_option


@click.command()
@click.argument("run", required=False)
@runs_option
def attach(run: str | None, runs: str | None) -> int:
    """Take up RUN, which goes on without the app since d was pressed (default: the newest such run)."""
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise click.UsageError("the app needs a terminal; `femtotui runs` lists what is being trained")
    folder = runs_folder(runs)
    from .app import attach_app  # noqa: PLC0415

    return attach_app(_found(folder, run))


def _found(folder: Path, run: str | None) -> Path:
    from femtotui.core.runs import find_run, list_runs  # noqa: PLC0415

    from .door import ADDRESS_NAME  # noqa: PLC0415

    if run is not None:
        return find_run(folder, run)
    for summary in list_runs(folder):
        if summary.holder is not None and (summary.path / ADDRESS_NAME).exists():
            return summary.path
    raise RunError(
        f"no run in {folder} goes on without an app: press d in the app to detach one, "
        "or go on with one by `femtotui train --resume latest`"
    )
