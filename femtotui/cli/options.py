"""Small helps around click: several values after one option, and errors on one safe line."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import click

from femtotui.core.errors import ConfigError


def spread_values(arguments: Sequence[str], option: str, stops: Collection[str] = ()) -> list[str]:
    """`--data a b c` as `--data a --data b --data c`: so that an unquoted glob of the shell works.

    The values end at the next option, or at a word in `stops`.
    """
    spread: list[str] = []
    taking = False
    for position, argument in enumerate(arguments):
        if argument == "--":
            return [*spread, *arguments[position:]]
        if argument == option:
            taking = True
        elif argument.startswith("-") or argument in stops:
            taking = False
        elif taking and spread[-1] != option:
            spread.append(option)
        spread.append(argument)
    return spread


class DataCommand(click.Command):
    """A command whose `--data` takes several paths."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread_values(args, "--data"))


class DataGroup(click.Group):
    """A group whose own `--data` takes several paths, and which suggests the nearest command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread_values(args, "--data", stops=self.commands))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in self.commands or name.startswith("-"):
            return super().resolve_command(ctx, args)
        nearest = difflib.get_close_matches(name, self.commands, n=1)
        if nearest:
            hint = f"did you mean `femtotui {nearest[0]}`?"
        elif name.isdigit() or name.endswith(".toml"):
            hint = f"to train a preset, give `femtotui --preset {name}` or `femtotui train {name}`"
        else:
            hint = f"there are {', '.join(sorted(self.commands))}"
        raise click.UsageError(f"there is no command `{name}`; {hint}", ctx)


def say(message: str) -> None:
    """One line on standard error, with nothing in it that a terminal would obey."""
    from ..text.safe import one_line  # noqa: PLC0415  (`--help` should not wait for it)

    with suppress(OSError, ValueError):  # nobody reads it any more
        encoding = sys.stderr.encoding or "utf-8"
        line = one_line(message).encode(encoding, "replace").decode(encoding)
        print(line, file=sys.stderr, flush=True)


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


_Command = TypeVar("_Command", bound=Callable[..., Any])


def thread_options(command: _Command) -> _Command:
    """Gives a command both options, as `threads: int | None` and `chunk: int | None`."""
    chunk = click.option(
        "--chunk",
        type=int,
        callback=_at_least_one,
        help="Sequences a thread works on at a time (default: chosen).",
    )
    threads = click.option(
        "--threads",
        type=int,
        callback=_at_least_one,
        help="How many threads share a batch (default: one a core).",
    )
    return threads(chunk(command))


def too_many_threads(threads: int | None) -> str:
    """What to say of more threads than cores, "" if there is nothing to say. Loads NumPy."""
    from femtotui.core.training.workers import usable_cores  # noqa: PLC0415

    cores = usable_cores()
    if threads is None or threads <= cores:
        return ""
    return f"{threads:,} threads are more than this machine's {cores} core{'' if cores == 1 else 's'}"


def _at_least_one(_context: click.Context, option: click.Parameter, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise ConfigError(
            f"{option.name} must be a whole number from 1 on, not {value:,}: "
            f"leave --{option.name} out to have it chosen"
        )
    return value
