"""`femtotui bench`: time training steps of presets, each preset in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec
from click import Choice, option
from msgspec.structs import replace

from femtotui.core.config import AdamWConfig, RunConfig
from femtotui.core.errors import ConfigError, FemtoError
from femtotui.presets import load_preset, run_config

from ..blas.kernel import limited_blas
from ..text.formats import memory, milliseconds, rate
from ..text.safe import one_line, say
from .options import (
    CliCommand,
    json_lines_option,
    preset_argument,
    recipe_option,
    thread_options,
    too_many_threads,
)
from .output import print_json_line, print_rich, table
from .step_timer import Measurement

if TYPE_CHECKING:
    from rich.table import Table

    from .output import Cell

ONE_OF_EACH_SIZE = ("10", "2", "3", "9", "11", "12", "5")
"""An entry for each size of model in the journal, smallest first."""

_HEADERS = (
    *(">#", "L/d/H/T/V", ">ms per step\nminimum", ">tokens"),
    *(">GFLOP/s\nof SGEMM", ">peak RAM", ">threads\n× chunk"),
)


class BenchError(FemtoError):
    """A preset that could not be measured, in the words of the process that tried."""

    title = "That could not be measured"


@click.command(
    cls=CliCommand,
    examples={"bench": "one of each size in the journal", "bench 2 5 --optimizer adamw": "two of them"},
)
@preset_argument("presets", metavar="[PRESET]...", nargs=-1)
@recipe_option(default="modern", show_default=True, help="The recipe to time.")
@option("--optimizer", type=Choice(["adamw"]), help="Time with this optimizer instead of the recipe's.")
@option("--steps", type=int, default=30, show_default=True, help="Number of steps to time.")
@thread_options
@json_lines_option
def bench(presets: Sequence[str], as_json: bool, **settings: Any) -> None:
    """Time training steps of presets on this machine (default: one of each size in the journal).

    Each preset is timed in a separate process, on its own text; nothing is written or downloaded.
    """
    measurements = []
    # All are checked before anything is measured.
    for config in [bench_config(key, **settings) for key in presets or ONE_OF_EACH_SIZE]:
        if not as_json:
            say(f"timing #{config.preset} {config.title} ...")
        measurements.append(_measure_in_process(config))
        if as_json:
            print_json_line(measurements[-1])
    if not as_json:
        print_rich(bench_table(measurements))


def bench_config(
    key: str, *, recipe: str, optimizer: str | None, steps: int, threads: int | None, chunk: int | None
) -> RunConfig:
    """The run to time of a preset; with `adamw` its recipe's settings for AdamW. Raises: FemtoError."""
    if warning := too_many_threads(threads):
        raise ConfigError(warning)
    preset = load_preset(key)
    config = run_config(preset, recipe=recipe, steps=steps, threads=threads or 0, chunk=chunk or 0)
    if config.train.chunk > config.train.batch:
        raise ConfigError(
            f"a chunk of {config.train.chunk} sequences is more than the batch of {config.train.batch}"
        )
    if optimizer == "adamw" and not isinstance(config.recipe.optimizer, AdamWConfig):
        only_adamw = replace(config.recipe, optimizer=config.recipe.optimizer.adamw)
        config = replace(config, recipe=only_adamw)
    return config


def _measure_in_process(config: RunConfig) -> Measurement:
    """The measurement of a fresh process. Raises: BenchError."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "femtotui.cli.step_timer"],
        input=msgspec.json.encode(config),
        capture_output=True,
        check=False,
        env=limited_blas(dict(os.environ)),
    )
    if done.returncode == 0:
        return msgspec.json.decode(done.stdout, type=Measurement)
    lines = done.stderr.decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {done.returncode}")
    raise BenchError(f"preset {config.preset}: {last}")


def bench_table(measurements: Sequence[Measurement]) -> Table:
    """A row per preset; what all of them share stands below."""
    made = table(_HEADERS, map(_cells, measurements), no_wrap=True)
    first = measurements[0]
    least, most = (pick(m.sgemm_gflops for m in measurements) for pick in (min, max))
    sgemm = f"{least:,.0f}" if round(least) == round(most) else f"{least:,.0f} to {most:,.0f}"
    made.caption_justify = "left"
    made.caption = one_line(
        f"recipe {first.recipe}, {first.optimizer}, batch {first.config['batch']}, "
        f"median of {first.steps} steps; kernel {first.blas_kernel}, SGEMM {sgemm} GFLOP/s"
    )
    return made


def _cells(m: Measurement) -> Sequence[Cell]:
    sizes = "/".join(str(m.config[name]) for name in ("layers", "width", "heads", "context", "vocab"))
    ms = (milliseconds(m.ms_median), milliseconds(m.ms_min))
    gflops, shape = (f"{m.gflops:,.0f}", f"{m.gemm_share:.0%}"), f"{m.threads} × {m.chunk}"
    return m.preset, sizes, ms, rate(m.tokens_per_s), gflops, memory(m.peak_rss_mib), shape
