"""Options that several commands share; several values after one option; the check for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import click

from femtotui.core.errors import ConfigError, DataError
from femtotui.core.files import require_utf8

from ..installation import lasting_path, runs_folder

_Command = TypeVar("_Command", bound=Callable[..., Any])

RECIPE_HELP = "The training recipe: `modern` (ours) or `journal` (its author's)."
RUNS_HELP = "The folder of all runs (default: FEMTOTUI_RUNS, or one in your data folder)."


def spread_values(command: click.Command, arguments: Sequence[str], stops: Collection[str] = ()) -> list[str]:
    """`--data a b c` as `--data a --data b --data c`: so that an unquoted glob of the shell works.

    So for every option of `command` whose metavar ends in `...`; its values end at the next option, or at a
    word in `stops`.
    """
    options = [option for option in command.params if (option.metavar or "").endswith("...")]
    names = {name for option in options if isinstance(option, click.Option) for name in option.opts}
    spread: list[str] = []
    name = ""
    for position, argument in enumerate(arguments):
        if argument == "--":
            return [*spread, *arguments[position:]]
        if argument.startswith("-") or argument in stops:
            name = argument if argument in names else ""
        elif name and spread[-1] != name:
            spread.append(name)
        spread.append(argument)
    return spread


class SpreadingCommand(click.Command):
    """A command whose options with a metavar `NAME...` take several values."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread_values(self, args))


def require_terminal(message: str) -> None:
    """Raises: click.UsageError with `message` unless all three standard streams are a terminal."""
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise click.UsageError(message)


def too_many_threads(threads: int | None) -> str:
    """A warning about more threads than cores, "" if there is none. Loads NumPy."""
    from femtotui.core.training.workers import usable_cores  # noqa: PLC0415

    cores = usable_cores()
    if threads is None or threads <= cores:
        return ""
    return f"{threads:,} threads are more than this machine's {cores} core{'' if cores == 1 else 's'}"


def _lasting_paths(
    _context: click.Context, _option: click.Parameter, paths: tuple[str, ...]
) -> tuple[str, ...]:
    """Paths and globs made absolute: they mean the same when the run is resumed from another folder."""
    for path in paths:
        if not path or "\0" in path:
            raise DataError("a data path is empty: give the name of a file, or a glob")
        require_utf8(path, DataError)
    return tuple(str(lasting_path(path)) for path in paths)


def _at_least_one(_context: click.Context, option: click.Parameter, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise ConfigError(
            f"{option.name} must be a whole number from 1 on, not {value:,}: "
            f"leave --{option.name} out to have it chosen"
        )
    return value


run_argument = click.argument("run", default="latest")
runs_option = click.option(
    "--runs", metavar="DIR", callback=lambda _context, _option, given: runs_folder(given), help=RUNS_HELP
)
data_option = click.option(
    "--data",
    metavar="PATH...",
    multiple=True,
    callback=_lasting_paths,
    help="Train on your own text: one or more files or globs, joined in order.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
json_lines_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")
checkpoint_option = click.option(
    "--checkpoint", metavar="WHICH", default="latest", help="`latest` (the default), `best`, or a step."
)


def thread_options(command: _Command) -> _Command:
    """Add `--threads` and `--chunk`, both `int | None`."""
    for name, help_text in (
        ("--chunk", "Sequences that a thread processes at a time (default: automatic)."),
        ("--threads", "Threads that share a batch (default: one per core)."),
    ):
        command = click.option(name, type=int, callback=_at_least_one, help=help_text)(command)
    return command
