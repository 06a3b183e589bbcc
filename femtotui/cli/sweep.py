"""`femtotui sweep`: many runs on this machine's cores or on a Dask cluster, ranked."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from click import Choice, IntRange, option

from femtotui.core.errors import FemtoError

from ..installation import config_folder, require_extra
from ..sweep.messages import Outcome, SweepReport, csv_table, markdown_table, ranked, table_rows
from ..sweep.spec import SweepError, SweepSpec, Value, differing_settings, read_spec
from ..text.formats import UNKNOWN, duration, loss
from ..text.safe import say
from .options import (
    CliCommand,
    data_option,
    json_lines_option,
    preset_argument,
    recipe_option,
    require_terminal,
    runs_option,
)
from .output import ProgressBar, print_json_line

if TYPE_CHECKING:
    from ..sweep.coordinator import SweepEvent
    from ..sweep.dask_engine import DaskEngine
    from ..sweep.sweep_folder import SweepFolder

EXIT_DONE = 0
EXIT_FAILED = 2
_EVENTS = {SweepReport: "run_reported", Outcome: "run_ended"}
_BAR_WIDTH = 24
_NO_SCREEN = "the Sweep screen needs a terminal; without one, leave --screen or --watch out"


def _settings(
    _context: click.Context, _option: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, tuple[Value, ...]]:
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


@click.command(
    cls=CliCommand,
    examples={
        "sweep 2 10 --seeds 3 --set lr=3e-3,6e-3": "12 runs, ranked",
        "sweep 2 --set n_layers=4,6 --seconds 60 --rank score": "a minute each; the best at its task",
        "sweep --resume latest": "the rest of it, or its table",
    },
)
@preset_argument("presets", metavar="[PRESET]...", nargs=-1)
@option(
    "--spec", metavar="FILE", help="A TOML file that describes the sweep, instead of presets and settings."
)
@recipe_option("recipes", multiple=True, help="A recipe to try; may be repeated (default: each preset's).")
@option(
    "--seeds",
    type=IntRange(1, 1000),
    callback=lambda _context, _option, n: tuple(range(n or 0)),
    help="Number of seeds, starting at 0 (default: 1).",
)
@option(
    "--set",
    "settings",
    metavar="NAME=V,V",
    multiple=True,
    callback=_settings,
    help="A setting and the values to try, as in lr=1e-3,3e-3; may be repeated.",
)
@data_option
@option("--steps", type=int, help="Steps of each run (default: the preset's).")
@option("--seconds", type=float, help="Train each run for this many seconds.")
@option(
    "--rank",
    "rank_by",
    type=Choice(("loss", "score", "time")),
    help="Best by validation loss (default), task score, or time to success.",
)
@option("--halving", type=int, metavar="N", help="Stop all but the best 1/N early, by successive halving.")
@option("--workers", type=IntRange(1), help="Runs at a time on this machine (default: one per core).")
@option("--threads", type=IntRange(1), help="Threads of each run (default: the cores shared among the runs).")
@option("--scheduler", metavar="ADDRESS", help="A Dask scheduler to use, such as tls://10.0.0.5:8786.")
@option(
    "--insecure-network",
    is_flag=True,
    help="Accept a scheduler without tls://: whoever reaches it can run code on it and its workers.",
)
@option("--resume", metavar="SWEEP", help="Train the missing runs of a sweep: its name, or `latest`.")
@option("--watch", metavar="SWEEP", help="Watch a sweep that is running: its name, or `latest`.")
@option(
    "--screen",
    is_flag=True,
    help="Train in a separate process, and show it on a screen; leaving it does not stop the sweep.",
)
@runs_option
@option("--csv", "as_csv", is_flag=True, help="Print the table as CSV instead of Markdown.")
@json_lines_option
def sweep(
    spec: str | None,
    workers: int | None,
    threads: int | None,
    scheduler: str | None,
    insecure_network: bool,
    resume: str | None,
    watch: str | None,
    screen: bool,
    runs: Path,
    as_csv: bool,
    as_json: bool,
    **settings: object,
) -> int:
    """Train every combination of PRESETs, recipes, seeds and settings, and rank the results.

    Without --scheduler the runs share this machine's cores. Ctrl+C ends the sweep; --resume continues it.
    The runs are kept among your others; the table is also in the runs folder, under sweeps.
    """
    if scheduler is not None:
        if not (scheduler.startswith("tls://") or insecure_network):
            raise click.UsageError(
                f"{scheduler} is not tls://: whoever reaches it can read and change the sweep, and run code "
                "on it and its workers; if they all may, add --insecure-network"
            )
        require_extra("cluster", "distributed", "a sweep on other machines")
    given = {name: value for name, value in settings.items() if value}  # fields of SweepSpec
    if watch is not None:
        if given or resume or spec or screen:
            raise click.UsageError("--watch shows a sweep that exists: leave out the rest")
        from ..sweep.sweep_folder import find_sweep  # noqa: PLC0415

        return _show(find_sweep(runs, watch))
    if resume is not None or spec is not None:
        if given or (resume is not None and spec is not None):
            raise click.UsageError("--resume and --spec name all settings to try: leave out the rest")
    elif "presets" not in given:
        raise click.UsageError("which presets? Give some of 1 to 14, as in `femtotui sweep 2 10 --seeds 3`")
    chosen = _opened(runs, resume, threads) if resume else _new(runs, given, spec, workers, threads)
    if screen:
        return _start_and_show(chosen, scheduler, workers)
    return _train(chosen, scheduler, workers, as_csv=as_csv, as_json=as_json)


def _new(
    runs: Path, given: dict[str, object], file: str | None, workers: int | None, threads: int | None
) -> SweepFolder:
    from ..sweep.coordinator import local_shape, new_sweep  # noqa: PLC0415  (loads NumPy)

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
        raise click.UsageError("--resume keeps the threads that the sweep began with")
    opened = find_sweep(runs, name)
    say(f"sweep {opened.name}: {len(opened.missing())} of {len(opened.info.trials)} runs are missing")
    return opened


def _train(
    folder: SweepFolder, scheduler: str | None, workers: int | None, *, as_csv: bool, as_json: bool
) -> int:
    if folder.missing():
        try:
            _lead(folder, scheduler, workers, as_json=as_json)
        except (FemtoError, KeyboardInterrupt):
            n, left = len(folder.info.trials), len(folder.missing())
            say(f"{n - left} of {n} runs have ended; resume with: femtotui sweep --resume {folder.name}")
            raise
    if not as_json:
        rows = table_rows(folder.info.trials, folder.outcomes, folder.info.spec.rank_by)
        sys.stdout.write(csv_table(rows) if as_csv else markdown_table(rows))
    say(f"the table is in {folder.path}")
    return EXIT_FAILED if any(outcome.state == "failed" for outcome in folder.outcomes) else EXIT_DONE


def _lead(folder: SweepFolder, scheduler: str | None, workers: int | None, *, as_json: bool) -> None:
    """Train the missing runs. Raises: FemtoError, KeyboardInterrupt; finished runs are kept."""
    from ..sweep.coordinator import LocalEngine, Sweep, local_shape  # noqa: PLC0415
    from ..sweep.sweep_folder import CoordinatorFiles  # noqa: PLC0415

    missing = folder.missing()
    n_workers, _ = local_shape(len(missing), workers, missing[0].config.train.threads)
    output = SweepJson if as_json else SweepBar if sys.stderr.isatty() else SweepOutput
    engine: LocalEngine | DaskEngine = LocalEngine(folder.name, n_workers)
    if scheduler is not None:
        from ..sweep.dask_engine import DaskEngine  # noqa: PLC0415  (loads Dask)

        engine = DaskEngine(folder.name, scheduler)
    with CoordinatorFiles(folder) as files, contextlib.closing(output(folder)) as shown, engine:
        for event in Sweep(folder, engine, files.stop_requests).run():
            if isinstance(event, SweepReport):
                files.write_report(event)
            shown.show(event)


def _start_and_show(folder: SweepFolder, scheduler: str | None, workers: int | None) -> int:
    require_terminal(_NO_SCREEN)
    from ..sweep.coordinator import start_coordinator  # noqa: PLC0415

    # The user has accepted a scheduler without tls:// already.
    options = ("--scheduler", scheduler, "--insecure-network") if scheduler else ()
    coordinator = start_coordinator(folder, *options, *(("--workers", str(workers)) if workers else ()))
    return _show(folder, lambda: coordinator.poll() is None)


def _show(folder: SweepFolder, is_starting: Callable[[], bool] = lambda: False) -> int:
    """Show the Sweep screen until it is left, then say how to come back."""
    require_terminal(_NO_SCREEN)
    from ..app.settings import load_settings  # noqa: PLC0415
    from ..sweep.sweep_folder import SweepWatcher  # noqa: PLC0415
    from ..sweep.sweep_screen import SweepApp  # noqa: PLC0415

    settings = load_settings(config_folder() / "settings.toml")
    SweepApp(SweepWatcher(folder, is_starting), settings.theme, settings.chart).run()
    say(f"come back to the sweep with: femtotui sweep --watch {folder.name}")
    return EXIT_DONE


class SweepOutput:
    """A line on standard error for each run that ends."""

    def __init__(self, folder: SweepFolder) -> None:
        self.folder = folder

    def show(self, event: SweepEvent) -> None:
        if isinstance(event, Outcome):
            say(outcome_line(self.folder, event))
        elif not isinstance(event, SweepReport):
            say(f"note: {event.text}")

    def close(self) -> None:
        """End what is drawn."""


class SweepJson(SweepOutput):
    """One JSON object per event and line on standard output; `event` is its kind."""

    def show(self, event: SweepEvent) -> None:
        print_json_line({"event": _EVENTS.get(type(event), "remark"), **msgspec.to_builtins(event)})


class SweepBar(SweepOutput):
    """Ended runs, time left and best result on one line; the ended runs are listed above it."""

    def __init__(self, folder: SweepFolder) -> None:
        super().__init__(folder)
        self._bar = ProgressBar(_BAR_WIDTH, " runs")
        self._bar.start(0, len(folder.info.trials), "starting workers")
        self._begun = 0.0
        self._first: dict[int, int] = {}
        self._newest: dict[int, int] = {}

    def show(self, event: SweepEvent) -> None:
        super().show(event)
        if isinstance(event, SweepReport):
            self._begun = self._begun or time.monotonic()
            self._first.setdefault(event.index, event.step)
            self._newest[event.index] = event.step
        elif isinstance(event, Outcome) and event.index in self._newest:
            self._newest[event.index] = max(self._newest[event.index], event.step)
        best = next(iter(ranked(self.folder.outcomes, self.folder.info.spec.rank_by)), None)
        done = sum(step - self._first[index] for index, step in self._newest.items())
        rate = done / (time.monotonic() - self._begun) if done else 0.0
        left = sum(t.config.train.steps - self._newest.get(t.index, 0) for t in self.folder.missing())
        figures = (
            f"{rate:,.0f} steps/s",
            f"{duration(left / rate if rate else float('nan'))} left",
            f"best {loss(best.val_loss) if best else UNKNOWN}",
        )
        self._bar.draw(len(self.folder.outcomes), " · ".join(figures))

    def close(self) -> None:
        self._bar.stop()


def outcome_line(folder: SweepFolder, outcome: Outcome) -> str:
    differing = differing_settings(folder.info.trials)[outcome.index]
    settings = ", ".join(f"{name} {value}" for name, value in differing.items())
    ended = f"{len(folder.outcomes)}/{len(folder.info.trials)}"
    words = f"{ended} {outcome.state}: {settings}"
    if outcome.state == "failed":
        return f"{words}: {outcome.reason}"
    note = f" ({outcome.note})" if outcome.note else ""
    return f"{words}: validation {loss(outcome.val_loss)} at step {outcome.step:,}{note}"
