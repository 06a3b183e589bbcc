"""How fast this process multiplies matrices, and with which library: the yardstick of all other speeds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import threadpoolctl

from femtotui.core.training.workers import Team

_LEAST_ROUNDS = 5


def product_rates(size: int, threads: int, seconds: float) -> list[float]:
    """The rate of square float32 products, round after round for about `seconds`, at least five rounds.

    In a round each thread multiplies two matrices of its own, with one BLAS thread, as training does; a round
    lasts as long as its slowest thread. The first round, which touches the memory, does not count.

    Units: GFLOP/s of all threads together.
    """
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


def blas_pool() -> Mapping[str, Any]:
    """What threadpoolctl knows of NumPy's BLAS library; nothing for one that it does not know."""
    pools = (pool for pool in threadpoolctl.threadpool_info() if pool.get("user_api") == "blas")
    return next(pools, {})
