"""From what the command line asks of `femtotui bench` to measurements, each made in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import msgspec

from femtotui.core.config import AdamWConfig, Recipe
from femtotui.core.errors import ConfigError, FemtoError
from femtotui.presets import load_preset, run_config

from ..blas.kernel import limited_blas
from .options import too_many_threads
from .step_timer import BenchOrder, Measurement

ONE_OF_EACH_SIZE = ("10", "2", "3", "9", "11", "12", "5")
"""An entry for each size of model in the journal, smallest first."""

WARMUP_STEPS = 5


class BenchError(FemtoError):
    """A preset that could not be measured, in the words of the process that tried."""

    title = "That could not be measured"


def bench_orders(
    presets: Sequence[str],
    *,
    recipe: str,
    optimizer: str | None,
    steps: int,
    threads: int | None,
    chunk: int | None,
) -> list[BenchOrder]:
    """An order for each preset, checked before anything is measured. `steps` are counted, warm-up is not.

    Raises: FemtoError.
    """
    if words := too_many_threads(threads):
        raise ConfigError(words)
    orders = []
    for key in presets:
        config = run_config(
            load_preset(key), recipe=recipe, steps=steps, threads=threads or 0, chunk=chunk or 0
        )
        if config.train.chunk > config.train.batch:
            raise ConfigError(
                f"a chunk of {config.train.chunk} sequences is more than the batch of {config.train.batch}"
            )
        config = msgspec.structs.replace(config, recipe=_with_optimizer(config.recipe, optimizer))
        orders.append(BenchOrder(config=config, steps=steps, warmup=WARMUP_STEPS))
    return orders


def measured(order: BenchOrder) -> Measurement:
    """What a fresh process measures. Raises: BenchError."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "femtotui.cli.step_timer"],
        input=msgspec.json.encode(order),
        capture_output=True,
        check=False,
        env=limited_blas(dict(os.environ)),
    )
    if done.returncode == 0:
        return msgspec.json.decode(done.stdout, type=Measurement)
    lines = done.stderr.decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {done.returncode}")
    raise BenchError(f"preset {order.config.preset}: {last}")


def _with_optimizer(recipe: Recipe, optimizer: str | None) -> Recipe:
    """The recipe with AdamW for everything, at the settings that it has for it, if that was asked for."""
    if optimizer != "adamw" or isinstance(recipe.optimizer, AdamWConfig):
        return recipe
    replaced: Recipe = msgspec.structs.replace(recipe, optimizer=recipe.optimizer.adamw)
    return replaced
