"""The ranks after the first: they compute, say nothing and write nothing, until rank 0 dismisses them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from femtotui.core.errors import DivergedError, FemtoError
from femtotui.core.ranks import Dismissed

from ..arguments import say
from ..environment import prepare_blas

if TYPE_CHECKING:
    from .world import World

EXIT_DONE = 0
EXIT_FAILED = 2


def follow(world: World) -> int:
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
    from .agreement import same_versions, threads_a_rank  # noqa: PLC0415  (NumPy comes after the kernel)
    from .assignment import take_assignment  # noqa: PLC0415

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
