"""Small helps around click: several values after one option, and errors on one safe line."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress

import click


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
    from .safe_text import one_line  # noqa: PLC0415  (`--help` should not wait for it)

    with suppress(OSError, ValueError):  # nobody reads it any more
        encoding = sys.stderr.encoding or "utf-8"
        line = one_line(message).encode(encoding, "replace").decode(encoding)
        print(line, file=sys.stderr, flush=True)
