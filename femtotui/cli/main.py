"""The program `femtotui`: finds the command, and turns an error into one line and exit code 2.

A command is imported when it is called: `femtotui --help` answers at once, and NumPy is not imported
before the number of BLAS threads is set.
"""

from __future__ import annotations

import difflib
import importlib
import io
import os
import sys
from collections.abc import Sequence

import click

from femtotui.core.errors import FemtoError

from .. import __version__
from ..blas.kernel import limit_blas_threads
from ..installation import runs_folder
from ..text.safe import say
from .options import RECIPE_HELP, RUNS_HELP, data_option, require_terminal, spread_values
from .output import say_error

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130
DEFAULT_PRESET = "2"

COMMANDS = {
    "attach": ("runs", "attach", "Open the app on a run that trains in the background."),
    "bench": ("bench", "bench", "Time training steps of presets on this machine."),
    "data": ("presets", "data", "Download texts that are not part of femtotui."),
    "doctor": ("doctor", "doctor", "Check this machine and its speed."),
    "eval": ("runs", "evaluate", "Score a run on the task of its data."),
    "export": ("runs", "export", "Write the weights of a run to a file."),
    "inspect": ("inspect", "inspect", "Look inside a model: attention, logit lens, layers, weights."),
    "journal": ("runs", "journal", "Print the journal of all runs, or the entry of one."),
    "presets": ("presets", "presets", "List the presets with the journal's results."),
    "reproduce": ("reproduce", "reproduce", "Train the journal's entries again and compare."),
    "runs": ("runs", "runs", "List the runs, newest first."),
    "sample": ("sample", "sample", "Continue a prompt with a trained model, or score a text."),
    "sweep": ("sweep", "sweep", "Train many combinations of settings and rank them."),
    "train": ("train", "train", "Train a preset without the app."),
    "why-layers": ("reproduce", "why_layers", "Answer why more layers made entry 3 worse."),
}
"""The module and the name of each command, and its line in the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a question mark for a glyph that it cannot encode
    limit_blas_threads()
    try:
        code = cli.main(arguments, prog_name="femtotui", standalone_mode=False)
    except FemtoError as error:
        say_error(error)
        return EXIT_MISTAKE
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        help_command = f"{context.command_path if context else 'femtotui'} --help"
        say(f"femtotui: {error.format_message().rstrip('.')} (see `{help_command}`)")
        return EXIT_MISTAKE
    except (click.Abort, KeyboardInterrupt):
        if sys.stderr.isatty():
            say("")  # the terminal's own ^C stands on the line before
        say("femtotui: stopped")
        return EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


class LazyGroup(click.Group):
    """The commands, each imported when it is called; a mistyped one gets a suggestion."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f".{module}", __package__), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (*_, help_line) in sorted(COMMANDS.items())])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread_values(self, args, stops=COMMANDS))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in COMMANDS or name.startswith("-"):
            return super().resolve_command(ctx, args)
        nearest = difflib.get_close_matches(name, COMMANDS, n=1)
        if nearest:
            hint = f"did you mean `femtotui {nearest[0]}`?"
        elif name.isdigit() or name.endswith(".toml"):
            hint = f"to train a preset, give `femtotui --preset {name}` or `femtotui train {name}`"
        else:
            hint = f"there are {', '.join(sorted(COMMANDS))}"
        raise click.UsageError(f"there is no command `{name}`; {hint}", ctx)


@click.group(
    cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="femtotui")
@click.option(
    "--preset", default=DEFAULT_PRESET, show_default=True, help="1 to 14, or the path of a .toml file."
)
@click.option("--recipe", help=RECIPE_HELP)
@click.option("--seed", type=int, help="With the same threads, a seed gives the same run.")
@click.option("--runs", metavar="DIR", help=RUNS_HELP)
@data_option
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

    Without a command, the app opens and starts to train a preset.
    """
    if ctx.invoked_subcommand is not None:
        return None
    if "TEXTUAL_DRIVER" not in os.environ:  # `textual serve` shows the app in a browser, through pipes
        require_terminal(f"the app needs a terminal; without one, use `femtotui train {preset}`")
    from ..app.start import run_app  # noqa: PLC0415

    return run_app(preset, recipe=recipe, seed=seed, runs=runs_folder(runs), data=data)
