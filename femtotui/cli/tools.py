"""The commands about the machine: `femtotui doctor` and `femtotui bench`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING

import click
import msgspec

from .options import say, spread_values, thread_options

if TYPE_CHECKING:
    from rich.console import RenderableType

EXIT_BROKEN = 1


class _BenchCommand(click.Command):
    """A command whose `--preset` takes several."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread_values(args, "--preset"))


@click.command(cls=_BenchCommand)
@click.option(
    "--preset",
    "presets",
    metavar="PRESET...",
    multiple=True,
    help="Which to time (default: one of each size in the journal).",
)
@click.option("--recipe", default="modern", show_default=True, help="The recipe to time.")
@click.option(
    "--optimizer", type=click.Choice(["adamw"]), help="Time with this optimizer instead of the recipe's own."
)
@click.option("--steps", type=int, default=30, show_default=True, help="How many steps to time.")
@thread_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def bench(
    presets: Sequence[str],
    recipe: str,
    optimizer: str | None,
    steps: int,
    threads: int | None,
    chunk: int | None,
    as_json: bool,
) -> None:
    """How fast this machine trains: real steps of presets, timed.

    Each preset is measured in a process of its own, on its own text; nothing is written or downloaded.
    """
    from .bench_orders import ONE_OF_EACH_SIZE, bench_orders, measured  # noqa: PLC0415

    orders = bench_orders(
        presets or ONE_OF_EACH_SIZE,
        recipe=recipe,
        optimizer=optimizer,
        steps=steps,
        threads=threads,
        chunk=chunk,
    )
    measurements = []
    for order in orders:
        if not as_json:
            say(f"timing #{order.config.preset} {order.config.title} ...")
        measurements.append(measured(order))
        if as_json:
            _print_json(msgspec.json.encode(measurements[-1]))
    if not as_json:
        from .bench_table import bench_table  # noqa: PLC0415

        _print(bench_table(measurements))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def doctor(as_json: bool) -> int:
    """What femtotui runs on here, how fast that is, and what is wrong with it."""
    from .doctor import examine  # noqa: PLC0415

    report = examine()
    if as_json:
        _print_json(msgspec.json.format(msgspec.json.encode(report), indent=2))
    else:
        from .doctor_table import doctor_table  # noqa: PLC0415

        _print(doctor_table(report))
    return EXIT_BROKEN if report.broken else 0


def _print(renderable: RenderableType) -> None:
    from rich.console import Console  # noqa: PLC0415

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a table is worth having in any encoding
    Console().print(renderable)


def _print_json(text: bytes) -> None:
    sys.stdout.buffer.write(text + b"\n")
    sys.stdout.buffer.flush()
