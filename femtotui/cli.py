"""The command line: data on standard output, narration on standard error, a mistake is one line and exit 2.

Imports are lazy throughout: `femtotui --help` should answer at once, and NumPy must not be imported before
the number of BLAS threads is set.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from femtotui.core.errors import DataError, FemtoError

from . import __version__
from .arguments import DataCommand, DataGroup, say
from .attach_command import attach
from .environment import limit_blas_threads, prepare_blas
from .eval_command import evaluate
from .export_command import export
from .journal_command import journal
from .paths import lasting_path, runs_folder
from .reproduce_command import reproduce
from .sample_command import sample
from .sweep_command import sweep
from .thread_options import thread_options, too_many_threads
from .tool_commands import bench, doctor
from .why_layers_command import why_layers

if TYPE_CHECKING:
    from femtotui.core.config import RunConfig

    from .headless import Face
    from .mpi.lead import Leader
    from .session import Session

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130
DEFAULT_PRESET = "2"

_RUNS_HELP = "The folder of all runs (default: FEMTOTUI_RUNS, or one in your data folder)."
_DATA_HELP = "Train on your own text: files or globs, several, put together in order."
_MPI_HELP = (
    "Share each batch among processes: `mpirun -n N femtotui train ... --mpi` (threads are each one's)."
)
_RECIPE_HELP = "How to train: `modern` (ours) or `journal` (as the journal's author did)."


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    _print_anything()
    limit_blas_threads()
    try:
        code = cli.main(arguments, prog_name="femtotui", standalone_mode=False)
    except FemtoError as error:
        say(f"femtotui: {error.title}: {error}")
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
    "--preset", default=DEFAULT_PRESET, show_default=True, help="1 to 12, or the path of a .toml file."
)
@click.option("--recipe", help=_RECIPE_HELP)
@click.option("--seed", type=int, help="The same seed gives the same run.")
@click.option("--runs", metavar="DIR", help=_RUNS_HELP)
@click.option("--data", metavar="PATH...", multiple=True, help=_DATA_HELP)
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
    from .app import run_app  # noqa: PLC0415

    return run_app(preset, recipe=recipe, seed=seed, runs=runs_folder(runs), data=_lasting(data))


@cli.command(cls=DataCommand)
@click.argument("preset", required=False)
@click.option("--recipe", help=_RECIPE_HELP)
@click.option("--steps", type=int, help="How many steps (default: the preset's).")
@click.option("--seed", type=int, help="The same seed gives the same run (default: 0).")
@click.option("--data", metavar="PATH...", multiple=True, help=_DATA_HELP)
@click.option("--runs", metavar="DIR", help=_RUNS_HELP)
@thread_options
@click.option("--checkpoint-seconds", type=float, help="Seconds between checkpoints (default: 30).")
@click.option("--keep", type=int, help="Checkpoints to keep besides the best one (default: 3).")
@click.option(
    "--resume", metavar="RUN", help="Go on with a run: its folder, its name or a part of it, or `latest`."
)
@click.option(
    "--download/--no-download", default=None, help="Fetch the English text if it is not there (default: ask)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
@click.option("--mpi", "over_mpi", is_flag=True, help=_MPI_HELP)
def train(
    preset: str | None,
    recipe: str | None,
    steps: int | None,
    seed: int | None,
    data: tuple[str, ...],
    runs: str | None,
    threads: int | None,
    chunk: int | None,
    checkpoint_seconds: float | None,
    keep: int | None,
    resume: str | None,
    download: bool | None,
    as_json: bool,
    over_mpi: bool,
) -> int:
    """Train PRESET without the app: 1 to 12, or the path of a .toml file.

    Ctrl+C saves the run and ends; --resume goes on with it.
    """

    def open_session(leader: Leader | None = None) -> Session:
        folder = runs_folder(runs)
        if resume is not None:
            settings = (preset, recipe, steps, seed, data or None, checkpoint_seconds, keep)
            if any(setting is not None for setting in settings):
                raise click.UsageError(
                    "--resume takes everything from the run: leave out the preset and its settings "
                    "(threads and chunk may differ)"
                )
            prepare_blas()
            return _resumed(folder, resume, threads, chunk, leader)
        if preset is None:
            raise click.UsageError("which preset? Give 1 to 12, before --data, as in `femtotui train 2`")
        from femtotui.presets import load_preset, run_config  # noqa: PLC0415

        config = run_config(
            load_preset(preset),
            recipe=recipe,
            steps=steps,
            seed=seed or 0,
            data=_lasting(data),
            threads=threads or 0,
            chunk=chunk or 0,
        )
        config = _with_checkpoints(config, checkpoint_seconds, keep)
        prepare_blas()
        session = _begun(config, folder, download, leader)
        if words := too_many_threads(threads):
            say(f"note: {words}: fewer would be faster")
        return session

    if over_mpi:
        from .mpi.launch import train_in_world  # noqa: PLC0415

        return train_in_world(open_session, lambda: _face(as_json))
    session = open_session()
    from .headless import train_headless  # noqa: PLC0415

    return train_headless(session, _face(as_json))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def presets(as_json: bool) -> None:
    """The journal's twelve entries, and what their author noted."""
    from femtotui.presets import list_presets  # noqa: PLC0415

    from .presets_table import presets_rows, presets_table  # noqa: PLC0415

    if as_json:
        _print_json(presets_rows(list_presets()))
    else:
        from rich.console import Console  # noqa: PLC0415

        console = Console()
        console.print(presets_table(list_presets(), console.width))


@cli.command()
@click.option("--runs", metavar="DIR", help=_RUNS_HELP)
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def runs(runs: str | None, as_json: bool) -> None:
    """The runs there are, newest first."""
    from femtotui.core.runs import list_runs  # noqa: PLC0415

    from .run_table import runs_rows, runs_table  # noqa: PLC0415

    folder = runs_folder(runs)
    found = list_runs(folder)
    if as_json:
        _print_json(runs_rows(found))
    elif not found:
        say(f"no runs in {folder} yet; `femtotui train 2` makes one")
    else:
        from rich.console import Console  # noqa: PLC0415

        Console().print(runs_table(found))


@cli.group()
def data() -> None:
    """The texts that are not part of femtotui."""


@data.command()
def english() -> None:
    """Download the English text of entries 11 and 12 (1.1 MB), and check it."""
    from femtotui.presets.sources import english_is_cached  # noqa: PLC0415

    if english_is_cached():
        say("the English text is already here")
    else:
        _download_english()


for command in (attach, evaluate, export, journal):
    cli.add_command(command)
cli.add_command(bench)
cli.add_command(sweep)
cli.add_command(reproduce)
cli.add_command(why_layers)
cli.add_command(doctor)
cli.add_command(sample)


def _with_checkpoints(config: RunConfig, seconds: float | None, keep: int | None) -> RunConfig:
    import msgspec  # noqa: PLC0415

    wanted = {"checkpoint_seconds": seconds, "keep_checkpoints": keep}
    asked = {name: value for name, value in wanted.items() if value is not None}
    return msgspec.structs.replace(config, train=msgspec.structs.replace(config.train, **asked))


def _require_terminal(preset: str) -> None:
    # `textual serve` shows the app in a browser, with pipes where a terminal would be.
    in_browser = "TEXTUAL_DRIVER" in os.environ
    if not in_browser and not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise click.UsageError(f"the app needs a terminal; without one, use `femtotui train {preset}`")


def _begun(config: RunConfig, folder: Path, download: bool | None, leader: Leader | None) -> Session:
    from femtotui.presets.sources import english_is_cached  # noqa: PLC0415

    if config.data.source == "english" and not english_is_cached():
        asked = sys.stdin.isatty() and sys.stderr.isatty() and download is None
        if download or (
            asked and click.confirm("Download the English text (1.1 MB)?", default=True, err=True)
        ):
            _download_english()
    from .session import prepare  # noqa: PLC0415

    return prepare(config, folder) if leader is None else leader.prepare(config, folder)


def _resumed(
    folder: Path, name: str, threads: int | None, chunk: int | None, leader: Leader | None
) -> Session:
    from femtotui.core.runs import find_run  # noqa: PLC0415

    from .session import continue_run  # noqa: PLC0415

    path = find_run(folder, name)
    if leader is not None:
        return leader.continue_run(path, threads, chunk)
    return continue_run(path, threads=threads, chunk=chunk)


def _download_english() -> None:
    from femtotui.presets.sources import download_english  # noqa: PLC0415

    if sys.stderr.isatty():
        from .progress import DownloadBar  # noqa: PLC0415

        with DownloadBar() as moved:
            path = download_english(moved)
    else:
        path = download_english(lambda _received, _total: None)
    say(f"the English text is in {path}")


def _face(as_json: bool) -> Face:
    from .headless import JsonLines, PlainLines  # noqa: PLC0415

    if as_json:
        return JsonLines()
    if sys.stderr.isatty():
        from .progress import TrainingBar  # noqa: PLC0415

        return TrainingBar()
    return PlainLines()


def _lasting(paths: Sequence[str]) -> tuple[str, ...]:
    """Paths and globs that still mean the same when the run is resumed from another folder."""
    for path in paths:
        if not path or "\0" in path:
            raise DataError("a data path is empty: give the name of a file, or a glob")
    return tuple(str(lasting_path(path)) for path in paths)


def _print_json(rows: object) -> None:
    import msgspec  # noqa: PLC0415

    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    sys.stdout.buffer.flush()
