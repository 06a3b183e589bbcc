"""`femtotui sweep`: many runs, on this machine's cores or on a Dask cluster, and which is the best."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..packages import require_extra
from ..paths import lasting_path, runs_folder
from .options import RUNS_HELP, DataCommand, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..sweep.coordinator import LocalEngine
    from ..sweep.dask_engine import DaskEngine
    from ..sweep.spec import SweepSpec, Value
    from ..sweep.sweep_folder import SweepFolder

EXIT_DONE = 0
EXIT_FAILED = 2


@click.command(cls=DataCommand)
@click.argument("presets", metavar="[PRESET]...", nargs=-1)
@click.option(
    "--spec", metavar="FILE", help="A sweep written down in TOML, in place of presets and settings."
)
@click.option(
    "--recipe", "recipes", multiple=True, help="A recipe to try; several times (default: each preset's)."
)
@click.option("--seeds", type=click.IntRange(1, 1000), help="So many seeds, from 0 on (default: 1).")
@click.option(
    "--set",
    "settings",
    metavar="NAME=V,V",
    multiple=True,
    help="A setting and the values to try: lr=1e-3,3e-3.",
)
@click.option("--data", metavar="PATH...", multiple=True, help="Your own text, as for `femtotui train`.")
@click.option("--steps", type=int, help="The budget: steps of each run (default: the preset's).")
@click.option("--seconds", type=float, help="The budget: seconds of training of each run.")
@click.option(
    "--rank",
    type=click.Choice(("loss", "score", "time")),
    help="Best by validation loss (default), task score, or time to success.",
)
@click.option(
    "--halving", type=int, metavar="N", help="Stop all but the best 1/N early, by successive halving."
)
@click.option("--workers", type=click.IntRange(1), help="Runs at a time here (default: one a core).")
@click.option(
    "--threads", type=click.IntRange(1), help="Threads of each run (default: what the cores allow)."
)
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler to use, such as tls://10.0.0.5:8786.")
@click.option(
    "--insecure-network",
    is_flag=True,
    help="Take a scheduler without tls://: all who reach it may run code on it and its workers.",
)
@click.option("--resume", metavar="SWEEP", help="Go on with the rest of a sweep: its name, or `latest`.")
@click.option("--watch", metavar="SWEEP", help="Look at a sweep that goes on: its name, or `latest`.")
@click.option(
    "--screen", is_flag=True, help="Train in a process of its own, and look at it; leave when you like."
)
@click.option("--runs", metavar="DIR", help=RUNS_HELP)
@click.option("--csv", "as_csv", is_flag=True, help="The table as CSV instead of Markdown.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as things happen.")
def sweep(
    presets: tuple[str, ...],
    spec: str | None,
    recipes: tuple[str, ...],
    seeds: int | None,
    settings: tuple[str, ...],
    data: tuple[str, ...],
    steps: int | None,
    seconds: float | None,
    rank: str | None,
    halving: int | None,
    workers: int | None,
    threads: int | None,
    scheduler: str | None,
    insecure_network: bool,
    resume: str | None,
    watch: str | None,
    screen: bool,
    runs: str | None,
    as_csv: bool,
    as_json: bool,
) -> int:
    """Train every combination of PRESETs, recipes, seeds and settings, and rank what comes out.

    Without --scheduler the runs share this machine's cores. Ctrl+C ends the sweep; --resume goes on with it.
    Every run ends up among your others; the table also lies in the runs folder, under sweeps.
    """
    if scheduler is not None:
        _require_tls(scheduler, insecure_network)
        require_extra("cluster", "distributed", "a sweep on other machines")
    asked: dict[str, object] = {
        "presets": presets,
        "recipes": recipes,
        "seeds": tuple(range(seeds)) if seeds else None,
        "settings": _settings(settings),
        "data": tuple(str(lasting_path(path)) for path in data),
        "steps": steps,
        "seconds": seconds,
        "rank_by": rank,
        "halving": halving,
    }
    given = {name: value for name, value in asked.items() if value}
    folder = runs_folder(runs)
    if watch is not None:
        if given or resume or spec or screen:
            raise click.UsageError("--watch looks at what is there: leave out the rest")
        from ..sweep.sweep_folder import find_sweep  # noqa: PLC0415

        return _show(find_sweep(folder, watch))
    if resume is not None or spec is not None:
        if given or (resume is not None and spec is not None):
            raise click.UsageError("--resume and --spec bring all that is to be tried: leave out the rest")
    elif not presets:
        raise click.UsageError("which presets? Give some of 1 to 12, as in `femtotui sweep 2 10 --seeds 3`")
    chosen = _opened(folder, resume, threads) if resume else _made(folder, given, spec, workers, threads)
    if screen:
        return _start_and_show(chosen, scheduler, workers)
    return _train(chosen, scheduler, workers, as_csv=as_csv, as_json=as_json)


def _require_tls(scheduler: str, insecure_network: bool) -> None:
    if not (scheduler.startswith("tls://") or insecure_network):
        raise click.UsageError(
            f"{scheduler} is not tls://: whoever reaches it can read and change the sweep, and run code "
            "on it and its workers; if they all may, add --insecure-network"
        )


def _settings(pairs: tuple[str, ...]) -> dict[str, tuple[Value, ...]]:
    """`--set a=1,2 --set b=x` as {"a": (1, 2), "b": ("x",)}."""
    settings: dict[str, tuple[Value, ...]] = {}
    for pair in pairs:
        name, equals, values = pair.partition("=")
        if not equals or not name or not values:
            raise click.UsageError(f"--set needs a setting and values, as in --set lr=1e-3,3e-3, not {pair}")
        settings[name.strip()] = tuple(_value(value.strip()) for value in values.split(","))
    return settings


def _value(text: str) -> Value:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return {"true": True, "false": False}.get(text.lower(), text)


def _made(
    runs: Path, given: dict[str, object], file: str | None, workers: int | None, threads: int | None
) -> SweepFolder:

    import msgspec  # noqa: PLC0415

    from ..sweep.coordinator import local_shape, new_sweep  # noqa: PLC0415
    from ..sweep.spec import SweepError, SweepSpec, read_spec  # noqa: PLC0415

    try:
        spec: SweepSpec = read_spec(file) if file else msgspec.convert(given, SweepSpec)
    except msgspec.ValidationError as error:
        raise SweepError(str(error)) from error
    _, each = local_shape(spec.size, workers, threads)
    made = new_sweep(spec, runs, each)
    say(f"sweep {made.name}: {spec.size} runs, {each} thread{'' if each == 1 else 's'} each")
    return made


def _opened(runs: Path, name: str, threads: int | None) -> SweepFolder:
    from ..sweep.sweep_folder import find_sweep  # noqa: PLC0415

    if threads is not None:
        raise click.UsageError("--resume goes on with the threads that the sweep began with")
    opened = find_sweep(runs, name)
    say(f"sweep {opened.name}: {len(opened.missing())} of {len(opened.info.trials)} runs are left to do")
    return opened


def _train(
    folder: SweepFolder, scheduler: str | None, workers: int | None, *, as_csv: bool, as_json: bool
) -> int:
    from femtotui.core.errors import FemtoError  # noqa: PLC0415

    from ..sweep.sweep_table import csv_table, markdown_table  # noqa: PLC0415

    if folder.missing():
        try:
            _lead(folder, scheduler, workers, as_json=as_json)
        except (FemtoError, KeyboardInterrupt):
            say(_rest(folder))
            raise
    outcomes, trials, by = folder.outcomes, folder.info.trials, folder.info.spec.rank_by
    if not as_json:
        sys.stdout.write((csv_table if as_csv else markdown_table)(trials, outcomes, by))
    say(f"the table is in {folder.path}")
    return EXIT_FAILED if any(outcome.state == "failed" for outcome in outcomes) else EXIT_DONE


def _lead(folder: SweepFolder, scheduler: str | None, workers: int | None, *, as_json: bool) -> None:
    """Trains what is missing. Raises: FemtoError, KeyboardInterrupt; what is home then is safe."""
    from ..sweep.coordinator import Sweep, local_shape  # noqa: PLC0415
    from ..sweep.messages import SweepReport  # noqa: PLC0415
    from ..sweep.sweep_folder import CoordinatorFiles  # noqa: PLC0415
    from .sweep_output import sweep_face  # noqa: PLC0415

    missing = folder.missing()
    n_workers, _ = local_shape(len(missing), workers, missing[0].config.train.threads)
    with (
        CoordinatorFiles(folder) as files,
        sweep_face(folder, as_json=as_json) as face,
        _engine(folder.name, scheduler, n_workers) as engine,
    ):
        for event in Sweep(folder, engine, files.stop_requests).run():
            if isinstance(event, SweepReport):
                files.write_report(event)
            face.show(event)


def _engine(sweep: str, scheduler: str | None, workers: int) -> DaskEngine | LocalEngine:
    """Dask is imported only where it is needed."""
    if scheduler is None:
        from ..sweep.coordinator import LocalEngine  # noqa: PLC0415

        return LocalEngine(sweep, workers)
    from ..sweep.dask_engine import DaskEngine  # noqa: PLC0415

    return DaskEngine(sweep, scheduler)


def _start_and_show(folder: SweepFolder, scheduler: str | None, workers: int | None) -> int:
    _require_terminal()
    from ..sweep.coordinator import start_coordinator  # noqa: PLC0415

    # Whether it may be without tls:// has been asked already.
    options = ("--scheduler", scheduler, "--insecure-network") if scheduler else ()
    coordinator = start_coordinator(folder, *options, *(("--workers", str(workers)) if workers else ()))
    return _show(folder, lambda: coordinator.poll() is None)


def _show(folder: SweepFolder, is_starting: Callable[[], bool] = lambda: False) -> int:
    """The Sweep screen, until it is left; then a word on how to come back."""
    _require_terminal()
    from ..app.settings import load_settings  # noqa: PLC0415
    from ..paths import config_folder  # noqa: PLC0415
    from ..sweep.sweep_folder import SweepWatcher  # noqa: PLC0415
    from ..sweep.sweep_screen import SweepApp  # noqa: PLC0415

    settings = load_settings(config_folder() / "settings.toml")
    SweepApp(SweepWatcher(folder, is_starting), settings.theme, settings.chart).run()
    say(f"come back to the sweep with: femtotui sweep --watch {folder.name}")
    return EXIT_DONE


def _require_terminal() -> None:
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise click.UsageError(
            "the Sweep screen needs a terminal; without one, leave --screen or --watch out"
        )


def _rest(folder: SweepFolder) -> str:
    left, n = len(folder.missing()), len(folder.info.trials)
    return f"{n - left} of {n} runs are home; go on with the rest: femtotui sweep --resume {folder.name}"
