"""Rank 0: an ordinary headless training, whose gradients are the sum of all ranks'."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from ..environment import prepare_blas
from .world import MpiError, World

if TYPE_CHECKING:
    from pathlib import Path

    from femtotui.core.config import RunConfig

    from ..session import Session


class Leader:
    """What rank 0 gives the others: their part of a training, and in the end their dismissal."""

    def __init__(self, world: World, threads_a_rank: int) -> None:
        self._world = world
        self._threads_a_rank = threads_a_rank
        self._gradient_size: int | None = None

    def prepare(self, config: RunConfig, runs: Path) -> Session:
        """A new run of all ranks, as `session.prepare` makes one. Raises: FemtoError."""
        from ..session import prepare  # noqa: PLC0415

        threads = self._total_threads(config, config.train.threads)
        train = msgspec.structs.replace(config.train, threads=threads)
        return prepare(msgspec.structs.replace(config, train=train), runs, ranks=self._world)

    def continue_run(self, path: Path, threads: int | None, chunk: int | None) -> Session:
        """A run to go on with in all ranks, as `session.continue_run` opens one. Raises: FemtoError."""
        from femtotui.core.run_info import read_info  # noqa: PLC0415

        from ..session import continue_run  # noqa: PLC0415

        total = self._total_threads(read_info(path).config, threads)
        return continue_run(path, threads=total, chunk=chunk, ranks=self._world)

    def _total_threads(self, config: RunConfig, asked: int | None) -> int:
        from .agreement import total_threads  # noqa: PLC0415

        return total_threads(self._world.size, asked or self._threads_a_rank, config.train.batch)

    def assign(self, session: Session) -> Session:
        """Hands the training out; from here on every step needs all ranks. Says so in the run's notes."""
        from .assignment import assign  # noqa: PLC0415

        assign(self._world, session.training)
        self._gradient_size = session.training.gradient_size
        return session.with_notes(self._words(session))

    def release(self) -> None:
        """Lets the others end, whatever they wait for."""
        if self._gradient_size is None:
            self._world.broadcast()  # nothing to train
        else:
            self._world.dismiss(self._gradient_size)

    def _words(self, session: Session) -> str:
        size, batch = self._world.size, session.training.config.train.batch
        if size == 1:
            return "--mpi with one process: start more with `mpirun -n N femtotui train ... --mpi`"
        each = session.training.threads // size
        return (
            f"{size} processes over MPI, {each} thread{'' if each == 1 else 's'} each, "
            f"share every batch of {batch} sequences"
        )


@contextmanager
def leading(world: World) -> Iterator[Leader]:
    """Rank 0's part: whatever happens inside, the others are released at the end.

    Raises: MpiError if the ranks are of different versions.
    """
    prepare_blas()
    world.wait_for_all()  # those of this machine find its BLAS kernel chosen
    from .agreement import same_versions, threads_a_rank  # noqa: PLC0415  (NumPy comes after the kernel)

    versions = same_versions(world)
    if len(versions) > 1:
        raise MpiError(_difference(versions))
    leader = Leader(world, threads_a_rank(world))
    try:
        yield leader
    finally:
        leader.release()


def _difference(versions: Mapping[str, tuple[int, ...]]) -> str:
    (first, _), (other, ranks) = list(versions.items())[:2]
    return f"rank 0 has {first}, but rank {ranks[0]} has {other}: install the same on all hosts"
