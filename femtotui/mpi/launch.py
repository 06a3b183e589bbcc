"""Where `--mpi` begins: every process that mpirun started comes here."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from femtotui.core.errors import DivergedError, FemtoError
from femtotui.core.training.workers import Dismissed

from ..blas.environment import prepare_blas
from .world import MpiError, World, join_world

if TYPE_CHECKING:
    from pathlib import Path

    from femtotui.core.config import RunConfig

    from ..trainer.session import Session
    from .world import World


class Leader:
    """What rank 0 gives the others: their part of a training, and in the end their dismissal."""

    def __init__(self, world: World, threads_a_rank: int) -> None:
        self._world = world
        self._threads_a_rank = threads_a_rank
        self._gradient_size: int | None = None

    def prepare(self, config: RunConfig, runs: Path) -> Session:
        """A new run of all ranks, as `session.prepare` makes one. Raises: FemtoError."""
        from ..trainer.session import prepare  # noqa: PLC0415

        threads = self._total_threads(config, config.train.threads)
        train = msgspec.structs.replace(config.train, threads=threads)
        return prepare(msgspec.structs.replace(config, train=train), runs, ranks=self._world)

    def continue_run(self, path: Path, threads: int | None, chunk: int | None) -> Session:
        """A run to go on with in all ranks, as `session.continue_run` opens one. Raises: FemtoError."""
        from femtotui.core.run_folder.info import read_info  # noqa: PLC0415

        from ..trainer.session import continue_run  # noqa: PLC0415

        total = self._total_threads(read_info(path).config, threads)
        return continue_run(path, threads=total, chunk=chunk, ranks=self._world)

    def _total_threads(self, config: RunConfig, asked: int | None) -> int:
        from .world import total_threads  # noqa: PLC0415

        return total_threads(self._world.size, asked or self._threads_a_rank, config.train.batch)

    def assign(self, session: Session) -> Session:
        """Hands the training out; from here on every step needs all ranks. Says so in the run's notes."""
        from .world import assign  # noqa: PLC0415

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
    from .world import same_versions, threads_a_rank  # noqa: PLC0415  (NumPy comes after the kernel)

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


EXIT_DONE = 0
EXIT_FAILED = 2


def follow(world: World, say: Callable[[str], None]) -> int:
    """Trains along with rank 0, and returns the exit code."""
    _leave_signals_to_the_leader()
    world.wait_for_all()  # rank 0 has chosen the BLAS kernel of this machine then
    prepare_blas()
    try:
        _train_along(world)
    except FemtoError as error:
        say(f"femtotui: rank {world.rank}: {error.title}: {error}")
        world.abort(EXIT_FAILED)
    return EXIT_DONE


def _train_along(world: World) -> None:
    # NumPy comes after the kernel.
    from .world import same_versions, take_assignment, threads_a_rank  # noqa: PLC0415

    if len(same_versions(world)) > 1:
        return  # rank 0 says so
    threads_a_rank(world)
    training = take_assignment(world)
    if training is None:
        return
    try:
        while True:
            try:
                training.advance()
            except DivergedError:
                continue  # rank 0 has found the same, and ends it before the next step is taken
    except Dismissed:
        return
    finally:
        training.close()


def _leave_signals_to_the_leader() -> None:
    """mpirun hands every signal to every rank; rank 0 saves first, and then ends the others."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


EXIT_BUG = 1


def train_in_world(
    open_session: Callable[[Leader], Session],
    record: Callable[[Session], int],
    say: Callable[[str], None],
) -> int:
    """Trains what rank 0 opens and records, in all ranks. Returns the exit code; `say` prints a message.

    Raises: FemtoError, in rank 0 (or in all, if there is no MPI).
    """
    world = join_world()
    if world.rank > 0:
        return _or_abort(world, lambda: follow(world, say), say)
    with leading(world) as leader:
        return record(leader.assign(open_session(leader)))


def _or_abort(world: World, act: Callable[[], int], say: Callable[[str], None]) -> int:
    """A rank that dies of a bug takes the others along, which would wait for it for ever."""
    try:
        return act()
    except Exception:
        say(traceback.format_exc())
        world.abort(EXIT_BUG)
