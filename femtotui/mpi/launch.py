"""Where `--mpi` begins: every process that mpirun started comes here."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..arguments import say
from .follow import follow
from .lead import Leader, leading
from .world import World, join_world

if TYPE_CHECKING:
    from ..headless import Face
    from ..session import Session

EXIT_BUG = 1


def train_in_world(open_session: Callable[[Leader], Session], face: Callable[[], Face]) -> int:
    """Trains what rank 0 opens, in all ranks. Returns the exit code.

    Raises: FemtoError, in rank 0 (or in all, if there is no MPI).
    """
    world = join_world()
    if world.rank > 0:
        return _or_abort(world, lambda: follow(world))
    with leading(world) as leader:
        session = open_session(leader)
        from ..headless import train_headless  # noqa: PLC0415

        return train_headless(leader.assign(session), face())


def _or_abort(world: World, act: Callable[[], int]) -> int:
    """A rank that dies of a bug takes the others along, which would wait for it for ever."""
    try:
        return act()
    except Exception:
        say(traceback.format_exc())
        world.abort(EXIT_BUG)
