"""Options that several commands share; several values after one option; the check for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from femtotui.core.errors import ConfigError, DataError, FemtoError
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


class CliCommand(click.Command):
    """A command with examples in its help; its options with a metavar `NAME...` take several values.

    `examples` are command lines, without the program's name, and what each is for.
    """

    def __init__(self, *args: Any, examples: Mapping[str, str] | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = dict(examples or {})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread_values(self, args))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                lines = [(f"femtotui {line}", what) for line, what in self.examples.items()]
                formatter.write_dl(lines, col_max=50)


# -- completion: the names of presets, recipes and runs ------------------------------------------------------


def _complete_presets(
    _context: click.Context, _parameter: click.Parameter, typed: str
) -> list[CompletionItem]:
    from femtotui.presets import list_presets  # noqa: PLC0415  (only when a shell asks)

    found = [CompletionItem(preset.key, help=preset.title) for preset in list_presets()]
    return [item for item in found if item.value.startswith(typed)] or [CompletionItem(typed, type="file")]


def _complete_recipes(
    _context: click.Context, _parameter: click.Parameter, typed: str
) -> list[CompletionItem]:
    from femtotui.presets.load import list_recipes  # noqa: PLC0415

    return [CompletionItem(r.name, help=r.summary) for r in list_recipes() if r.name.startswith(typed)]


def complete_runs(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """The names of runs that begin with, or contain, what was typed; newest first."""
    from femtotui.core.run_folder.catalog import run_names  # noqa: PLC0415

    given = context.params.get("runs")
    try:
        names = ["latest", *run_names(given if isinstance(given, Path) else runs_folder(given))]
    except FemtoError:
        return []
    return [CompletionItem(name) for name in names if typed in name and name.isprintable()]


def complete_target(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Presets, then runs."""
    return _complete_presets(context, parameter, typed) + complete_runs(context, parameter, typed)


def preset_argument(name: str = "preset", **settings: Any) -> Callable[[_Command], _Command]:
    """An argument that is a preset: 1 to 14, or the path of a TOML file."""
    return click.argument(name, shell_complete=_complete_presets, **settings)


def run_argument(name: str = "run", **settings: Any) -> Callable[[_Command], _Command]:
    """An argument that is a run; the latest unless `settings` say otherwise."""
    return click.argument(name, shell_complete=complete_runs, **({"default": "latest"} | settings))


def recipe_option(*names: str, **settings: Any) -> Callable[[_Command], _Command]:
    return click.option(
        "--recipe", *names, shell_complete=_complete_recipes, **({"help": RECIPE_HELP} | settings)
    )


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
