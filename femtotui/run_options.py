"""Options that the commands about runs share."""

from __future__ import annotations

import sys

import click

RUNS_HELP = "The folder of all runs (default: FEMTOTUI_RUNS, or one in your data folder)."

run_argument = click.argument("run", default="latest")
runs_option = click.option("--runs", metavar="DIR", help=RUNS_HELP)
json_option = click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
checkpoint_option = click.option(
    "--checkpoint", metavar="WHICH", default="latest", help="`latest` (the default), `best`, or a step."
)


def print_json(rows: object) -> None:
    """JSON for programs on standard output."""
    import msgspec  # noqa: PLC0415

    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    sys.stdout.buffer.flush()
