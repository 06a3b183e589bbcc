"""What must be settled before NumPy is first imported: how many threads BLAS has, and its kernel."""

from __future__ import annotations

import os

BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def limited_blas(environment: dict[str, str]) -> dict[str, str]:
    """`environment` with one BLAS thread where the user chose nothing: the core brings its own threads."""
    return {**dict.fromkeys(BLAS_VARIABLES, "1"), **environment}


def limit_blas_threads() -> None:
    """Sets the limits for this process."""
    for name in BLAS_VARIABLES:
        os.environ.setdefault(name, "1")


def prepare_blas() -> None:
    """Sets this process up to train: the limits, and the fastest kernel (measured on the first start here).

    To be called before NumPy is imported, and not where somebody waits for a screen.
    """
    from ..paths import cache_folder  # noqa: PLC0415
    from .kernel import apply_kernel_choice  # noqa: PLC0415  (only what trains needs it)

    limit_blas_threads()
    apply_kernel_choice(cache_folder())
