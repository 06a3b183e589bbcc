"""The processes that `mpirun` started, and the few things they say to one another: buffers, never pickles."""

from __future__ import annotations

import importlib
import os
import time
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
import numpy as np

from femtotui.core.config import RunConfig
from femtotui.core.errors import ConfigError, FemtoError
from femtotui.core.tokenizers.tokenizer import load_tokenizer
from femtotui.core.training.training import Training
from femtotui.core.training.workers import Dismissed, usable_cores

from ..packages import require_extra, versions_here
from ..trainer.text_transfer import TextParcel, pack_text, unpack_text

if TYPE_CHECKING:
    from femtotui.core.arrays import FloatArray

_MAX_VERSIONS_BYTES = 512
# What launchers set to the number of processes they start.
_SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_SIZE")


class MpiError(FemtoError):
    """Processes that cannot train one model together."""

    title = "Trouble with MPI"


class World:
    """All ranks; a `femtotui.core.training.workers.Ranks`, and what goes with its beginning and end."""

    def __init__(self, mpi: Any) -> None:
        self._mpi = mpi
        self._comm = mpi.COMM_WORLD
        self.rank: int = self._comm.Get_rank()
        self.size: int = self._comm.Get_size()

    @property
    def ranks_here(self) -> int:
        """How many of the ranks share this machine."""
        here = self._comm.Split_type(self._mpi.COMM_TYPE_SHARED)
        n: int = here.Get_size()
        here.Free()
        return n

    def versions(self) -> list[str]:
        """What every rank says of the programs it trains with; asked by all at once."""
        import numpy as np  # noqa: PLC0415  (BLAS must be prepared first)

        own = versions_here().encode()[:_MAX_VERSIONS_BYTES].ljust(_MAX_VERSIONS_BYTES, b"\0")
        all_SB = np.zeros((self.size, _MAX_VERSIONS_BYTES), np.uint8)
        self._comm.Allgather(np.frombuffer(own, np.uint8), all_SB)
        return [row.tobytes().rstrip(b"\0").decode(errors="replace") for row in all_SB]

    def least(self, number: int) -> int:
        """The smallest of the numbers that the ranks give."""
        import numpy as np  # noqa: PLC0415

        least = np.array([number], np.int64)
        self._comm.Allreduce(self._mpi.IN_PLACE, least, self._mpi.MIN)
        return int(least[0])

    def broadcast(self, message: bytes = b"") -> bytes:
        """What rank 0 says, in all ranks."""
        import numpy as np  # noqa: PLC0415

        size = np.array([len(message)], np.int64)
        self._comm.Bcast(size)
        buffer = np.frombuffer(message, np.uint8).copy() if self.rank == 0 else np.zeros(size[0], np.uint8)
        self._comm.Bcast(buffer)
        return buffer.tobytes()

    def align(self, parameters_P: FloatArray) -> None:
        self._patiently(self._comm.Ibcast(parameters_P))

    def add_up(self, gradient: FloatArray, loss: float) -> float:
        """See Ranks. The losses travel while the gradients do."""
        return self._add_up(gradient, loss, ends=False)

    def dismiss(self, gradient_size: int) -> None:
        """Ends the training in the ranks that follow, which wait for rank 0's next gradient."""
        import numpy as np  # noqa: PLC0415

        self._add_up(np.zeros(gradient_size, np.float32), 0.0, ends=True)

    def _add_up(self, gradient: FloatArray, loss: float, *, ends: bool) -> float:
        import numpy as np  # noqa: PLC0415

        loss_and_end = np.array([loss, float(ends)])
        self._patiently(
            self._comm.Iallreduce(self._mpi.IN_PLACE, loss_and_end),
            self._comm.Iallreduce(self._mpi.IN_PLACE, gradient),
        )
        if loss_and_end[1] and self.rank != 0:
            raise Dismissed
        return float(loss_and_end[0])

    def _patiently(self, *requests: Any) -> None:
        """Waits as MPI does, but lets others have the core: on more ranks than cores that is much faster."""
        while not self._mpi.Request.Testall(requests):
            time.sleep(0)

    def wait_for_all(self) -> None:
        self._comm.Barrier()

    def abort(self, code: int) -> NoReturn:
        """Ends all ranks at once: the others would wait for this one for ever."""
        self._comm.Abort(code)
        raise SystemExit(code)


def join_world() -> World:
    """Takes this process's place among those that `mpirun` started.

    Raises: FemtoError if the extra is missing, or if mpi4py and `mpirun` are of two kinds of MPI.
    """
    require_extra("mpi", "mpi4py", "--mpi")
    try:
        settings = importlib.import_module("mpi4py").rc
        settings.thread_level = "funneled"  # our own threads only compute
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what mpi4py suspects is found out below
            mpi = importlib.import_module("mpi4py.MPI")
    except (ImportError, RuntimeError) as error:  # RuntimeError: there is no MPI library
        raise MpiError(
            f"mpi4py finds no MPI library ({_first_line(error)}): install one (`pip install mpich`, "
            "or your system's openmpi-bin)"
        ) from error
    world = World(mpi)
    started = max((_number(os.environ.get(name, "")) for name in _SIZE_VARIABLES), default=0)
    if world.size == 1 and started > 1:
        library = mpi.Get_library_version().split("\n")[0].split(",")[0].strip()
        raise MpiError(
            f"mpirun started {started} processes, but mpi4py is connected to another MPI ({library}) and "
            "sees one: use the mpirun that belongs to it"
        )
    return world


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def same_versions(world: World) -> Mapping[str, tuple[int, ...]]:
    """The ranks by the versions they train with: one entry if they are all the same."""
    found: dict[str, tuple[int, ...]] = {}
    for rank, versions in enumerate(world.versions()):
        found[versions] = (*found.get(versions, ()), rank)
    return found


def threads_a_rank(world: World) -> int:
    """As many threads as every rank has cores for: one number for all, so that shares are equal."""
    return world.least(threads_here(usable_cores(), os.cpu_count() or 1, world.ranks_here))


def threads_here(usable: int, cores: int, ranks_here: int) -> int:
    """Threads for each of the ranks on a machine; some launchers have given each its own cores already."""
    return usable if usable < cores else max(1, usable // ranks_here)


def total_threads(size: int, each: int, batch: int) -> int:
    """The threads of all ranks together. Raises: ConfigError if the batch has too few sequences."""
    if size > batch:
        raise ConfigError(
            f"{size:,} processes cannot share a batch of {batch:,} sequences: start at most {batch:,}"
        )
    return size * min(each, batch // size)


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """A training at some step, but for the vectors that go with it."""

    config: RunConfig
    tokenizer: str
    text: TextParcel
    step: int
    elapsed_s: float
    lr_scale: float


def assign(world: World, training: Training) -> None:
    """Hands the training out, in rank 0; the vectors follow the settings one by one."""
    state = training.tensors()
    assignment = Assignment(
        config=training.config,
        tokenizer=training.tokenizer.to_json(),
        text=pack_text(training.source, training.config.data),
        step=training.step,
        elapsed_s=training.elapsed_s,
        lr_scale=float(state["lr_scale"][0]),
    )
    world.broadcast(msgspec.msgpack.encode(assignment))
    for vector in training.vectors().values():
        world.align(vector)


def take_assignment(world: World) -> Training | None:
    """The training that rank 0 hands out; None if there is nothing to train. Raises: FemtoError."""
    message = world.broadcast()
    if not message:
        return None
    assignment = msgspec.msgpack.decode(message, type=Assignment)
    config = assignment.config
    source = unpack_text(assignment.text, config.data, config.train.seed)
    training = Training.begin(config, source, load_tokenizer(assignment.tokenizer), world)
    vectors = training.vectors()
    for vector in vectors.values():
        world.align(vector)
    small = {"recent_losses": np.zeros(0), "lr_scale": np.array([assignment.lr_scale])}
    training.restore({**vectors, **small}, assignment.step, assignment.elapsed_s)
    return training
