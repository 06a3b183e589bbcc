"""Several ranks train as one process does. Here they are threads; under a real mpirun see tests/mpi."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import reduce

import numpy as np
import pytest
from small_training import small_config, small_source

from femtotui.core.model.layers import FloatArray
from femtotui.core.tokenizers import build_tokenizer
from femtotui.core.training import training as train
from femtotui.core.training.training import Training

PATIENCE_S = 60


class Meeting:
    """Where ranks in one process meet."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size, timeout=PATIENCE_S)
        self.given: list[tuple[FloatArray, float]] = [(np.zeros(0), 0.0)] * size


class ThreadRank:
    """One of `size` ranks; adds up in the order of ranks."""

    def __init__(self, rank: int, size: int, meeting: Meeting) -> None:
        self.rank, self.size, self._meeting = rank, size, meeting

    def add_up(self, gradient: FloatArray, loss: float) -> float:
        given = self._exchanged(gradient, loss)
        gradient[...] = reduce(np.add, (theirs for theirs, _ in given))
        return sum(theirs for _, theirs in given)

    def align(self, parameters_P: FloatArray) -> None:
        parameters_P[...] = self._exchanged(parameters_P, 0.0)[0][0]

    def _exchanged(self, vector: FloatArray, number: float) -> list[tuple[FloatArray, float]]:
        self._meeting.given[self.rank] = (vector.copy(), number)
        self._meeting.barrier.wait()
        given = list(self._meeting.given)
        self._meeting.barrier.wait()
        return given


def trained(
    size: int, threads: int, steps: int, disturbance: float = 0.0
) -> list[tuple[list[float], FloatArray]]:
    """Losses and parameters of each rank; the last rank's parameters begin `disturbance` off."""
    config, source = small_config(batch=6, threads=threads), small_source()
    meeting = Meeting(size)
    tokenizer = build_tokenizer(config.tokenizer, source.train)

    def one(rank: int) -> tuple[list[float], FloatArray]:
        training = Training(config, source, tokenizer, ThreadRank(rank, size, meeting))
        if rank == size - 1:
            training.parameters_P += np.float32(disturbance)
        try:
            return [training.advance().loss for _ in range(steps)], training.parameters_P
        finally:
            training.close()

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(one, range(size)))


def test_two_ranks_are_two_threads_to_the_bit() -> None:
    (losses, parameters_P), (other_losses, other_P) = trained(2, 2, steps=8)
    ((alone, alone_P),) = trained(1, 2, steps=8)
    assert losses == other_losses == alone
    assert np.array_equal(parameters_P, other_P)
    assert np.array_equal(parameters_P, alone_P)


@pytest.mark.parametrize("size", [2, 3])
def test_more_ranks_are_one_process_to_rounding(size: int) -> None:
    (losses, _), *_ = trained(size, size, steps=8)
    ((alone, _),) = trained(1, 1, steps=8)
    np.testing.assert_allclose(losses, alone, rtol=1e-5)


def test_ranks_that_drifted_apart_take_over_the_first_one_s_parameters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(train, "STEPS_TO_ALIGN", 3)
    (_, first_P), (_, other_P) = trained(2, 2, steps=2, disturbance=1e-3)
    assert not np.array_equal(first_P, other_P)
    (_, first_P), (_, other_P) = trained(2, 2, steps=3, disturbance=1e-3)
    assert np.array_equal(first_P, other_P)
