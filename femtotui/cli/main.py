"""The command line: data on standard output, narration on standard error, a mistake is one line and exit 2.

Imports are lazy throughout: `femtotui --help` should answer at once, and NumPy must not be imported before
the number of BLAS threads is set.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import click

from femtotui.core.errors import FemtoError

from .. import __version__
from ..blas.kernel import limit_blas_threads
from ..paths import runs_folder
from ..text.safe import with_hint
from .data import data
from .options import RUNS_HELP, DataGroup, json_option, print_json, runs_option, say
from .reproduce import reproduce, why_layers
from .runs import attach, evaluate, export, journal
from .sample import sample
from .sweep import sweep
from .tools import bench, doctor
from .train import DATA_HELP, RECIPE_HELP, lasting_paths, train

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130
DEFAULT_PRESET = "2"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    _print_anything()
    limit_blas_threads()
    try:
        code = cli.main(arguments, prog_name="femtotui", standalone_mode=False)
    except FemtoError as error:
        say(f"femtotui: {error.title}: {with_hint(error)}")
        return EXIT_MISTAKE
    except click.ClickException as error:
        say(f"femtotui: {error.format_message().rstrip('.')} (see `{_help_command(error)}`)")
        return EXIT_MISTAKE
    except (click.Abort, KeyboardInterrupt):
        if sys.stderr.isatty():
            say("")  # the terminal's own ^C stands on the line before
        say("femtotui: stopped")
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


def _print_anything() -> None:
    """Where the terminal or pipe cannot encode a glyph, a question mark stands for it: never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _help_command(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{context.command_path if context else 'femtotui'} --help"


@click.group(
    cls=DataGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="femtotui")
@click.option(
    "--preset", default=DEFAULT_PRESET, show_default=True, help="1 to 14, or the path of a .toml file."
)
@click.option("--recipe", help=RECIPE_HELP)
@click.option("--seed", type=int, help="The same seed gives the same run.")
@click.option("--runs", metavar="DIR", help=RUNS_HELP)
@click.option("--data", metavar="PATH...", multiple=True, help=DATA_HELP)
@click.pass_context
def cli(
    ctx: click.Context,
    preset: str,
    recipe: str | None,
    seed: int | None,
    runs: str | None,
    data: tuple[str, ...],
) -> int | None:
    """Train tiny GPTs and watch them learn.

    Without a command, the app opens and trains a preset at once.
    """
    if ctx.invoked_subcommand is not None:
        return None
    _require_terminal(preset)
    from ..app.start import run_app  # noqa: PLC0415

    return run_app(preset, recipe=recipe, seed=seed, runs=runs_folder(runs), data=lasting_paths(data))


@cli.command()
@json_option
def presets(as_json: bool) -> None:
    """The journal's twelve entries with what their author noted, and two presets after it."""
    from femtotui.presets import list_presets  # noqa: PLC0415

    from .presets_table import presets_rows, presets_table  # noqa: PLC0415

    if as_json:
        print_json(presets_rows(list_presets()))
    else:
        from rich.console import Console  # noqa: PLC0415

        console = Console()
        console.print(presets_table(list_presets(), console.width))


@cli.command()
@runs_option
@json_option
def runs(runs: str | None, as_json: bool) -> None:
    """The runs there are, newest first."""
    from femtotui.core.run_folder.catalog import list_runs  # noqa: PLC0415

    from .runs_table import runs_rows, runs_table  # noqa: PLC0415

    folder = runs_folder(runs)
    found = list_runs(folder)
    if as_json:
        print_json(runs_rows(found))
    elif not found:
        say(f"no runs in {folder} yet; `femtotui train 2` makes one")
    else:
        from rich.console import Console  # noqa: PLC0415

        console = Console()
        console.print(runs_table(found, console.width))


for command in (
    train,
    data,
    attach,
    evaluate,
    export,
    journal,
    bench,
    sweep,
    reproduce,
    why_layers,
    doctor,
    sample,
):
    cli.add_command(command)


def _require_terminal(preset: str) -> None:
    # `textual serve` shows the app in a browser, with pipes where a terminal would be.
    in_browser = "TEXTUAL_DRIVER" in os.environ
    if not in_browser and not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise click.UsageError(f"the app needs a terminal; without one, use `femtotui train {preset}`")
