"""Speed and accuracy of matrix products; `python -m femtotui.blas.probe [together]` prints them as JSON.

That runs in a process of its own, because a BLAS library chooses its kernel when it is loaded, and because a
kernel that this processor cannot run would end the process. NumPy is imported inside the functions: this
module is also imported by processes that must not load it yet.
"""

from __future__ import annotations

import importlib
import math
import sys
import time
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOGETHER = "together"

AVX512 = ("AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL")
"""The instructions that OpenBLAS's SkylakeX kernel uses."""

_AVX512_AT_ONCE = ("X86_V4", "AVX512_SKX")
"""NumPy's names for all five: since 2.4, and before."""

_LEAST_ROUNDS = 5
# Large enough for the full rate, small enough for some products to run undisturbed on a busy machine.
_SIZE, _SECONDS = 512, 0.06
_SIZE_TOGETHER, _SECONDS_TOGETHER = 1024, 0.3
_SHAPES = ((1, 64, 256), (7, 5, 3), (64, 16, 64), (129, 67, 255), (256, 320, 1000))


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A measurement. `kernel` is the one in use, `error` that of the products, relative to float64.

    Units: `gflops` is the best rate of one thread, in GFLOP/s, and `gflops_together` that of `threads`
    threads together, one for each core; 0 if only one was asked for.
    """

    library: str
    version: str
    kernel: str
    file: str
    has_avx512: bool
    gflops: float
    error: float
    threads: int = 0
    gflops_together: float = 0.0


def main() -> None:
    """Measure, and print the result."""
    from femtotui.core.machine import blas_pool  # noqa: PLC0415
    from femtotui.core.training.workers import usable_cores  # noqa: PLC0415

    threads = usable_cores() if TOGETHER in sys.argv[1:] else 0
    together = product_rates(_SIZE_TOGETHER, threads, _SECONDS_TOGETHER) if threads else [0.0]
    pool = blas_pool()
    probe = Probe(
        library=str(pool.get("internal_api") or ""),
        version=str(pool.get("version") or ""),
        kernel=str(pool.get("architecture") or ""),
        file=str(pool.get("filepath") or ""),
        has_avx512=has_avx512(),
        # The best, not the median: other programs may use the machine, too.
        gflops=max(product_rates(_SIZE, 1, _SECONDS)),
        error=_worst_error(),
        threads=threads,
        gflops_together=max(together),
    )
    print(msgspec.json.encode(probe).decode())


def product_rates(size: int, threads: int, seconds: float) -> list[float]:
    """The rate of square float32 products, round after round for about `seconds`, at least five rounds.

    In a round each thread multiplies two matrices of its own, with one BLAS thread, as training does; a round
    lasts as long as its slowest thread. The first round, which touches the memory, does not count.

    Units: GFLOP/s of all threads together.
    """
    import numpy as np  # noqa: PLC0415
    import threadpoolctl  # noqa: PLC0415

    from femtotui.core.training.workers import Team  # noqa: PLC0415

    rng = np.random.default_rng(0)
    factors = [rng.random((2, size, size), np.float32) for _ in range(threads)]
    products = [np.empty((size, size), np.float32) for _ in range(threads)]

    def multiply(thread: int) -> None:
        np.matmul(factors[thread][0], factors[thread][1], out=products[thread])

    gflop = 2 * size**3 * threads / 1e9
    rates: list[float] = []
    team = Team(threads)
    try:
        with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
            team.run(multiply)
            end = time.perf_counter() + seconds
            while len(rates) < _LEAST_ROUNDS or time.perf_counter() < end:
                start = time.perf_counter()
                team.run(multiply)
                rates.append(gflop / (time.perf_counter() - start))
    finally:
        team.close()
    return rates


def has_avx512() -> bool:
    try:
        features = importlib.import_module("numpy._core._multiarray_umath").__cpu_features__
    except (ImportError, AttributeError):  # private to NumPy; without it no other kernel is tried
        return False
    return any(features.get(name) for name in _AVX512_AT_ONCE) or all(features.get(name) for name in AVX512)


def _worst_error() -> float:
    """The largest error of products of awkward shapes.

    Plain, with either factor transposed, stacked, into a strided result, and with a vector of ones.
    """
    import numpy as np  # noqa: PLC0415

    rng = np.random.default_rng(1)
    errors = []
    for m, k, n in _SHAPES:
        a, b = rng.standard_normal((3, m, k), np.float32), rng.standard_normal((3, k, n), np.float32)
        turned_a, turned_b = (np.ascontiguousarray(x.swapaxes(1, 2)).swapaxes(1, 2) for x in (a, b))
        strided = np.zeros((3, m, 2 * n), np.float32)[:, :, :n]
        np.matmul(a, b, out=strided)
        exact = a.astype(np.float64) @ b.astype(np.float64)
        products = (a @ b, turned_a @ b, a @ turned_b, turned_a @ turned_b, strided)
        errors += [relative_error(ours, exact) for ours in products]
        errors.append(relative_error(a @ np.ones(k, np.float32), a.sum(2, np.float64)))
    return max(errors)


def relative_error(ours: NDArray[np.float32], exact: NDArray[np.float64]) -> float:
    """The largest difference, relative to the largest value; the largest float for NaN."""
    error = float(abs(ours - exact).max() / abs(exact).max())
    return error if math.isfinite(error) else sys.float_info.max


if __name__ == "__main__":
    main()
