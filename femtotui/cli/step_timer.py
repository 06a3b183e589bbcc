"""`python -m femtotui.cli.step_timer`: times training steps, in a process that does nothing else.

Reads a RunConfig as JSON from standard input; writes a Measurement of its steps to standard output, or what
is wrong to standard error. One process per run separates their peaks of memory.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from femtotui.core.config import ModelConfig, RunConfig
from femtotui.core.errors import FemtoError

from ..blas.kernel import prepare_blas

if TYPE_CHECKING:
    from femtotui.core.training.training import Training

EXIT_REFUSED = 2
WARMUP_STEPS = 5
"""Steps that do not count."""

_GEMM_SIZE = 1024
_GEMM_SECONDS = 0.5


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """The training speed of a run.

    `gflops` counts the arithmetic of `step_gflop`, in the median time. `sgemm_gflops` is what the machine
    reaches in float32 products of 1024 x 1024 matrices on as many threads, and `gemm_share` the former as a
    share of the latter. `config` holds the sizes: layers, width, heads, context, batch, vocab.

    Units: milliseconds per step, 10^9 floating-point operations per second, MiB.
    """

    preset: str
    recipe: str
    optimizer: str
    config: dict[str, int]
    steps: int
    ms_median: float
    ms_min: float
    tokens_per_s: float
    gflops: float
    sgemm_gflops: float
    gemm_share: float
    peak_rss_mib: float
    threads: int
    chunk: int
    blas_kernel: str


def step_gflop(model: ModelConfig, batch: int) -> float:
    """The multiplications and additions of one training step, in 10^9; elementwise work is not counted.

    With N = batch * T tokens: products with weights take 2 operations per weight and token forward, and twice
    that backward, 6 N (12 d^2 L + d V) in all; attention, its masked half included, takes 12 N T d L.
    """
    t, d, n_layers, v = model.context, model.width, model.n_layers, model.vocab_size
    n = batch * t
    return (6 * n * (12 * d * d * n_layers + d * v) + 12 * n * t * d * n_layers) / 1e9


def time_steps(training: Training, steps: int, warmup: int) -> list[float]:
    """Milliseconds of each of `steps` steps, after `warmup` others."""
    for _ in range(warmup):
        training.advance()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        training.advance()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def measure(asked: RunConfig) -> Measurement:
    """Time the steps, on the preset's own text or, where that would be a download, its stand-in.

    Raises: FemtoError.
    """
    import numpy as np  # noqa: PLC0415  (BLAS must be settled first)

    from femtotui.core.machine import blas_pool, peak_rss_mib  # noqa: PLC0415
    from femtotui.core.tokenizers import build_tokenizer  # noqa: PLC0415
    from femtotui.core.training.training import Training  # noqa: PLC0415
    from femtotui.presets.sources import open_source  # noqa: PLC0415

    from ..blas.probe import product_rates  # noqa: PLC0415

    source = open_source(asked.data, asked.train.seed)
    tokenizer = build_tokenizer(asked.tokenizer, source.train)
    with closing(Training(asked, source, tokenizer)) as training:
        times = time_steps(training, asked.train.steps, WARMUP_STEPS)
    # The peak first: the matrices of the reference rate are not the training's.
    peak = peak_rss_mib()
    sgemm = float(np.median(product_rates(_GEMM_SIZE, training.threads, _GEMM_SECONDS)))
    pool = blas_pool()
    config, median = training.config, float(np.median(times))
    model, batch = config.model, config.train.batch
    sizes = {"context": model.context, "batch": batch, "vocab": model.vocab_size}
    rate = step_gflop(model, batch) / (median / 1e3)
    return Measurement(
        preset=config.preset,
        recipe=config.recipe.name,
        optimizer=str(type(config.recipe.optimizer).__struct_config__.tag),
        config={"layers": model.n_layers, "width": model.width, "heads": model.n_heads, **sizes},
        steps=asked.train.steps,
        ms_median=round(median, 3),
        ms_min=round(min(times), 3),
        tokens_per_s=round(batch * model.context / (median / 1e3), 1),
        gflops=round(rate, 2),
        sgemm_gflops=round(sgemm, 2),
        gemm_share=round(rate / sgemm, 4),
        peak_rss_mib=round(peak, 1),
        threads=training.threads,
        chunk=training.chunk,
        blas_kernel=str(pool.get("architecture") or pool.get("internal_api") or "unknown"),
    )


def main() -> int:
    """Time the run on standard input."""
    prepare_blas()
    config = msgspec.json.decode(sys.stdin.buffer.read(), type=RunConfig)
    try:
        measurement = measure(config)
    except FemtoError as error:
        print(f"{error.title}: {error}", file=sys.stderr)
        return EXIT_REFUSED
    except MemoryError:
        print("Out of memory: take a smaller preset or chunk, or fewer threads", file=sys.stderr)
        return EXIT_REFUSED
    sys.stdout.buffer.write(msgspec.json.encode(measurement) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
