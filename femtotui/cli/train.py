"""The command `femtotui train`: a training without the app, begun or gone on with."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from femtotui.core.errors import DataError
from femtotui.core.files import require_utf8

from ..blas.kernel import prepare_blas
from ..paths import lasting_path, runs_folder
from .data import fetch_english
from .options import RUNS_HELP, DataCommand, say, thread_options, too_many_threads

if TYPE_CHECKING:
    from femtotui.core.config import RunConfig

    from ..mpi.ranks import Leader
    from ..trainer.headless import Face
    from ..trainer.session import Session

RECIPE_HELP = "How to train: `modern` (ours) or `journal` (as the journal's author did)."
_MPI_HELP = (
    "Share each batch among processes: `mpirun -n N femtotui train ... --mpi` (threads are each one's)."
)
DATA_HELP = "Train on your own text: files or globs, several, put together in order."


@click.command(cls=DataCommand)
@click.argument("preset", required=False)
@click.option("--recipe", help=RECIPE_HELP)
@click.option("--steps", type=int, help="How many steps (default: the preset's).")
@click.option("--seed", type=int, help="The same seed gives the same run (default: 0).")
@click.option("--data", metavar="PATH...", multiple=True, help=DATA_HELP)
@click.option("--runs", metavar="DIR", help=RUNS_HELP)
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
    """Train PRESET without the app: 1 to 14, or the path of a .toml file.

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
            raise click.UsageError("which preset? Give 1 to 14, before --data, as in `femtotui train 2`")
        from femtotui.presets import load_preset, run_config  # noqa: PLC0415

        config = run_config(
            load_preset(preset),
            recipe=recipe,
            steps=steps,
            seed=seed or 0,
            data=lasting_paths(data),
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
        from ..mpi.launch import train_in_world  # noqa: PLC0415

        return train_in_world(open_session, lambda: _face(as_json))
    session = open_session()
    from ..trainer.headless import train_headless  # noqa: PLC0415

    return train_headless(session, _face(as_json))


def _with_checkpoints(config: RunConfig, seconds: float | None, keep: int | None) -> RunConfig:
    import msgspec  # noqa: PLC0415

    wanted = {"checkpoint_seconds": seconds, "keep_checkpoints": keep}
    asked = {name: value for name, value in wanted.items() if value is not None}
    return msgspec.structs.replace(config, train=msgspec.structs.replace(config.train, **asked))


def _begun(config: RunConfig, folder: Path, download: bool | None, leader: Leader | None) -> Session:
    from femtotui.presets.sources import english_is_cached  # noqa: PLC0415

    if config.data.source == "english" and not english_is_cached():
        asked = sys.stdin.isatty() and sys.stderr.isatty() and download is None
        if download or (
            asked and click.confirm("Download the English text (1.1 MB)?", default=True, err=True)
        ):
            fetch_english()
    from ..trainer.session import prepare  # noqa: PLC0415

    return prepare(config, folder) if leader is None else leader.prepare(config, folder)


def _resumed(
    folder: Path, name: str, threads: int | None, chunk: int | None, leader: Leader | None
) -> Session:
    from femtotui.core.run_folder.catalog import find_run  # noqa: PLC0415

    from ..trainer.session import continue_run  # noqa: PLC0415

    path = find_run(folder, name)
    if leader is not None:
        return leader.continue_run(path, threads, chunk)
    return continue_run(path, threads=threads, chunk=chunk)


def _face(as_json: bool) -> Face:
    from ..trainer.headless import JsonLines, PlainLines  # noqa: PLC0415

    if as_json:
        return JsonLines()
    if sys.stderr.isatty():
        from .progress import TrainingBar  # noqa: PLC0415

        return TrainingBar()
    return PlainLines()


def lasting_paths(paths: Sequence[str]) -> tuple[str, ...]:
    """Paths and globs that still mean the same when the run is resumed from another folder."""
    for path in paths:
        if not path or "\0" in path:
            raise DataError("a data path is empty: give the name of a file, or a glob")
        require_utf8(path, DataError)
    return tuple(str(lasting_path(path)) for path in paths)
