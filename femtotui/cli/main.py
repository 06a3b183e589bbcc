"""The program `femtotui`: finds the command, and turns an error into one line and exit code 2.

A command is imported when it is called: `femtotui --help` answers at once, and NumPy is not imported
before the number of BLAS threads is set.
"""

from __future__ import annotations

import difflib
import importlib
import io
import sys
from collections.abc import Sequence

import click

from femtotui.core.errors import FemtoError

from .. import __version__
from ..blas.kernel import limit_blas_threads
from ..text.safe import say
from .output import say_error

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130

GROUPS = {
    "Train": {
        "open": ("open", "open_app", "Open the app, on a preset or a run; what `femtotui` alone does."),
        "train": ("train", "train", "Train a preset without the app."),
        "sweep": ("sweep", "sweep", "Train many combinations of settings and rank them."),
        "attach": ("runs", "attach", "Open the app on a run that trains in the background."),
    },
    "Look at runs": {
        "runs": ("runs", "runs", "List the runs, newest first."),
        "sample": ("sample", "sample", "Continue a prompt with a trained model, or score a text."),
        "eval": ("runs", "evaluate", "Score a run on the task of its data."),
        "inspect": ("inspect", "inspect", "Look inside a model: attention, logit lens, layers, weights."),
        "journal": ("runs", "journal", "Print the journal of all runs, or the entry of one."),
        "export": ("runs", "export", "Write the weights of a run to a file."),
    },
    "The journal's experiments": {
        "presets": ("presets", "presets", "List the presets with the journal's results."),
        "reproduce": ("reproduce", "reproduce", "Train the journal's entries again and compare."),
        "why-layers": ("reproduce", "why_layers", "Answer why more layers made entry 3 worse."),
    },
    "This machine": {
        "doctor": ("doctor", "doctor", "Check this machine and its speed."),
        "bench": ("bench", "bench", "Time training steps of presets on this machine."),
        "data": ("presets", "data", "Download texts that are not part of femtotui."),
    },
}
"""The module and the name of each command, and its line in the help, by the heading above it."""

COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}


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
    """The commands, each imported when it is called; a mistyped one gets a suggestion.

    What is no command belongs to `open`: `femtotui 7`, `femtotui latest`, `femtotui --recipe journal`.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f".{module}", __package__), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for heading, commands in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(name, help_line) for name, (*_, help_line) in commands.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {name for option in self.get_params(ctx) for name in option.opts}
        if not args or (args[0] not in COMMANDS and args[0] not in own):
            nearest = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.7) if args else []
            if nearest and not args[0].startswith("-"):
                hint = f"did you mean `femtotui {nearest[0]}`?"
                raise click.UsageError(f"there is no command `{args[0]}`; {hint}", ctx)
            args = ["open", *args]
        return super().parse_args(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="femtotui")
def cli() -> None:
    """Train tiny GPTs and watch them learn.

    Without a command the app opens: on what was left, on a preset (`femtotui 7`) or on a run
    (`femtotui latest`). `femtotui open --help` has its options.
    """
