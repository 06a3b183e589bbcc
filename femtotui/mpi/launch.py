"""The entry point of `--mpi`: joins the processes of `mpirun`, and sets up their BLAS before NumPy loads.

Nothing of this package is imported without `--mpi`; `ranks` is the work of each process after that.
"""

from __future__ import annotations

import importlib
import os
import signal
import time
import traceback
import warnings
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from femtotui.core.errors import FemtoError

from ..blas.kernel import prepare_blas
from ..installation import require_extra
from ..text.safe import say
from ..trainer import EXIT_BUG, EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from femtotui.core.model.layers import FloatArray

    from ..trainer.session import Session
    from .ranks import Leader

# Launchers set one of these to the number of processes that they start.
_SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_SIZE")


class MpiError(FemtoError):
    """Processes that cannot train one model together."""

    title = "Trouble with MPI"


def train_in_world(open_session: Callable[[Leader], Session], record: Callable[[Session], int]) -> int:
    """Train in all ranks the session that rank 0 opens and records. Returns the exit code.

    Raises: FemtoError, in rank 0 (or in all, if there is no MPI).
    """
    world = join_world()
    if world.rank > 0:
        return _follow(world)
    prepare_blas()
    world.wait_for_all()  # the other ranks of this machine find its BLAS kernel chosen
    from .ranks import leading  # noqa: PLC0415  (NumPy comes after the kernel)

    with leading(world) as leader:
        return record(leader.assign(open_session(leader)))


def _follow(world: World) -> int:
    """Train with rank 0; on an error, end all ranks, which would otherwise wait for this one forever."""
    # mpirun sends every signal to every rank; rank 0 saves first, and then ends the others.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        world.wait_for_all()  # until rank 0 has chosen the BLAS kernel of this machine
        prepare_blas()
        from .ranks import follow  # noqa: PLC0415  (NumPy comes after the kernel)

        follow(world)
    except FemtoError as error:
        say(f"femtotui: rank {world.rank}: {error.title}: {error}")
        world.abort(EXIT_FAILED)
    except Exception:
        say(traceback.format_exc())
        world.abort(EXIT_BUG)
    return EXIT_DONE


class World:
    """All ranks, as `femtotui.core.training.workers.Ranks`; they exchange buffers, never pickles."""

    def __init__(self, mpi: Any) -> None:
        self._mpi = mpi
        self._comm = mpi.COMM_WORLD
        self.rank: int = self._comm.Get_rank()
        self.size: int = self._comm.Get_size()

    @property
    def ranks_here(self) -> int:
        """The number of ranks on this machine."""
        here = self._comm.Split_type(self._mpi.COMM_TYPE_SHARED)
        n: int = here.Get_size()
        here.Free()
        return n

    def gather(self, message: bytes, limit: int) -> list[bytes]:
        """The messages of all ranks, each cut to `limit` bytes."""
        everything = bytearray(self.size * limit)
        self._comm.Allgather(message[:limit].ljust(limit, b"\0"), everything)
        parts = (everything[i : i + limit] for i in range(0, len(everything), limit))
        return [bytes(part.rstrip(b"\0")) for part in parts]

    def least(self, number: int) -> int:
        """The smallest of the numbers that the ranks give."""
        least = array("q", [number])
        self._comm.Allreduce(self._mpi.IN_PLACE, least, self._mpi.MIN)
        return least[0]

    def broadcast(self, message: bytes = b"") -> bytes:
        """Rank 0's message, in all ranks."""
        size = array("q", [len(message)])
        self._comm.Bcast(size)
        buffer = bytearray(message) if self.rank == 0 else bytearray(size[0])
        self._comm.Bcast(buffer)
        return bytes(buffer)

    def align(self, parameters_P: FloatArray) -> None:
        """See Ranks."""
        self._wait(self._comm.Ibcast(parameters_P))

    def dismiss(self, gradient_size: int) -> None:
        """End the training in the other ranks, which wait for rank 0's next gradient."""
        self.add_up(array("f", bytes(4 * gradient_size)), 0.0, ends=True)

    def add_up(self, gradient: FloatArray | array[float], loss: float, *, ends: bool = False) -> float:
        """See Ranks. The losses are summed at the same time; `ends` dismisses the other ranks."""
        loss_and_end = array("d", [loss, float(ends)])
        self._wait(
            self._comm.Iallreduce(self._mpi.IN_PLACE, loss_and_end),
            self._comm.Iallreduce(self._mpi.IN_PLACE, gradient),
        )
        if loss_and_end[1] and self.rank != 0:
            from femtotui.core.training.workers import Dismissed  # noqa: PLC0415  (loads NumPy)

            raise Dismissed
        return loss_and_end[0]

    def _wait(self, *requests: Any) -> None:
        """Wait, but yield the core while waiting: with more ranks than cores that is much faster."""
        while not self._mpi.Request.Testall(requests):
            time.sleep(0)

    def wait_for_all(self) -> None:
        self._comm.Barrier()

    def abort(self, code: int) -> NoReturn:
        self._comm.Abort(code)
        raise SystemExit(code)


def join_world() -> World:
    """Join the processes that `mpirun` started.

    Raises: FemtoError if the extra is missing, or if mpi4py and `mpirun` are of two kinds of MPI.
    """
    require_extra("mpi", "mpi4py", "--mpi")
    try:
        settings = importlib.import_module("mpi4py").rc
        settings.thread_level = "funneled"  # our own threads only compute
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what mpi4py suspects is checked below
            mpi = importlib.import_module("mpi4py.MPI")
    except (ImportError, RuntimeError) as error:  # RuntimeError: there is no MPI library
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise MpiError(
            f"mpi4py finds no MPI library ({first_line}): install one (`pip install mpich`, "
            "or your system's openmpi-bin)"
        ) from error
    world = World(mpi)
    sizes = (os.environ.get(name, "") for name in _SIZE_VARIABLES)
    started = max((int(size) for size in sizes if size.isdecimal()), default=0)
    if world.size == 1 and started > 1:
        library = mpi.Get_library_version().split("\n")[0].split(",")[0].strip()
        raise MpiError(
            f"mpirun started {started} processes, but mpi4py is connected to another MPI ({library}) and "
            "sees one: use the mpirun that belongs to it"
        )
    return world
