"""`python -m femtotui.blas.probe [together]`: how fast and how right matrix products are, as one JSON line.

It runs in a process of its own, because a BLAS library picks its kernel when it is loaded, and because a
kernel that this processor cannot run would take the process with it.
"""

from __future__ import annotations

import importlib
import math
import sys
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOGETHER = "together"

AVX512 = ("AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL")
"""What OpenBLAS's SkylakeX kernel is made of."""

_AVX512_AT_ONCE = ("X86_V4", "AVX512_SKX")
"""NumPy's names for all five: since 2.4, and before."""

# Large enough for the full rate, small enough for some products to go undisturbed on a busy machine.
_SIZE, _SECONDS = 512, 0.06
_SIZE_TOGETHER, _SECONDS_TOGETHER = 1024, 0.3
_SHAPES = ((1, 64, 256), (7, 5, 3), (64, 16, 64), (129, 67, 255), (256, 320, 1000))


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `kernel` is the one in use, and `error` that of the products, relative to float64.

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
    # Not at the top: this module is also imported by processes that must not load NumPy yet.
    from femtotui.core.training.workers import usable_cores  # noqa: PLC0415

    from .rate import blas_pool, product_rates  # noqa: PLC0415

    threads = usable_cores() if TOGETHER in sys.argv[1:] else 0
    together = product_rates(_SIZE_TOGETHER, threads, _SECONDS_TOGETHER) if threads else [0.0]
    pool = blas_pool()
    probe = Probe(
        library=str(pool.get("internal_api") or ""),
        version=str(pool.get("version") or ""),
        kernel=str(pool.get("architecture") or ""),
        file=str(pool.get("filepath") or ""),
        has_avx512=has_avx512(),
        # The best, not the usual: so a kernel shows what it can do, whatever else the machine does.
        gflops=max(product_rates(_SIZE, 1, _SECONDS)),
        error=_worst_error(),
        threads=threads,
        gflops_together=max(together),
    )
    print(msgspec.json.encode(probe).decode())


def has_avx512() -> bool:
    try:
        features = importlib.import_module("numpy._core._multiarray_umath").__cpu_features__
    except (ImportError, AttributeError):  # NumPy's own affair: without an answer nothing is tried
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
    """The largest difference, relative to the largest value; the largest number there is for NaN."""
    error = float(abs(ours - exact).max() / abs(exact).max())
    return error if math.isfinite(error) else sys.float_info.max


if __name__ == "__main__":
    main()
