"""BLAS thread limits. They only take effect if they are set before NumPy is first imported."""

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
