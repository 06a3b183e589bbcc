"""The work of each rank: rank 0 opens the run and assigns its training to the others, which follow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from femtotui.core.config import RunConfig
from femtotui.core.errors import ConfigError, DivergedError
from femtotui.core.run_folder.info import read_info
from femtotui.core.tokenizers import load_tokenizer
from femtotui.core.training.training import Training
from femtotui.core.training.workers import Dismissed, usable_cores

from ..installation import versions_here
from ..trainer.session import Session, continue_run, prepare
from ..trainer.text_transfer import TextTransfer, pack_text, unpack_text
from .launch import MpiError, World

_MAX_VERSIONS_BYTES = 512


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """A training at some step, without its vectors, which are sent separately."""

    config: RunConfig
    tokenizer: str
    text: TextTransfer
    step: int
    elapsed_s: float
    lr_scale: float


class Leader:
    """Rank 0: opens the run for all ranks, assigns it to the others, and dismisses them at the end."""

    def __init__(self, world: World, threads_per_rank: int) -> None:
        self._world = world
        self._threads_per_rank = threads_per_rank
        self._gradient_size: int | None = None

    def prepare(self, config: RunConfig, runs: Path) -> Session:
        """A new run of all ranks (see session.prepare). Raises: FemtoError."""
        each = config.train.threads or self._threads_per_rank
        threads = total_threads(self._world.size, each, config.train.batch)
        train = msgspec.structs.replace(config.train, threads=threads)
        return prepare(msgspec.structs.replace(config, train=train), runs, ranks=self._world)

    def continue_run(self, path: Path, threads: int | None, chunk: int | None) -> Session:
        """A run to resume in all ranks (see session.continue_run). Raises: FemtoError."""
        batch = read_info(path).config.train.batch
        total = total_threads(self._world.size, threads or self._threads_per_rank, batch)
        return continue_run(path, threads=total, chunk=chunk, ranks=self._world)

    def assign(self, session: Session) -> Session:
        """Send the training to the others; from then on every step needs all ranks."""
        training = session.training
        assignment = Assignment(
            config=training.config,
            tokenizer=training.tokenizer.to_json(),
            text=pack_text(training.source, training.config.data),
            step=training.step,
            elapsed_s=training.elapsed_s,
            lr_scale=float(training.tensors()["lr_scale"][0]),
        )
        self._world.broadcast(msgspec.msgpack.encode(assignment))
        for vector in training.vectors().values():
            self._world.align(vector)
        self._gradient_size = training.gradient_size
        return replace(session, notes=(*session.notes, self._note(training)))

    def release(self) -> None:
        """Let the others end, whether they wait for an assignment or for a gradient."""
        if self._gradient_size is None:
            self._world.broadcast()  # nothing to train
        else:
            self._world.dismiss(self._gradient_size)

    def _note(self, training: Training) -> str:
        size = self._world.size
        if size == 1:
            return "--mpi with one process: start more with `mpirun -n N femtotui train ... --mpi`"
        each = training.threads // size
        return (
            f"{size} processes over MPI, {each} thread{'' if each == 1 else 's'} each, "
            f"share every batch of {training.config.train.batch} sequences"
        )


@contextmanager
def leading(world: World) -> Iterator[Leader]:
    """Lead the other ranks, and release them at the end whatever happens inside.

    Raises: MpiError if the ranks are of different versions.
    """
    versions = _versions(world)
    other = next((rank for rank, version in enumerate(versions) if version != versions[0]), None)
    if other is not None:
        raise MpiError(
            f"rank 0 has {versions[0]}, but rank {other} has {versions[other]}: install the same on all hosts"
        )
    leader = Leader(world, _threads_per_rank(world))
    try:
        yield leader
    finally:
        leader.release()


def follow(world: World) -> None:
    """Train with rank 0 until it dismisses this rank. Raises: FemtoError."""
    if len(set(_versions(world))) > 1:
        return  # rank 0 reports it
    _threads_per_rank(world)
    training = _receive_assignment(world)
    if training is None:
        return
    with closing(training), suppress(Dismissed):
        while True:
            with suppress(DivergedError):  # in rank 0, too, which ends the training before the next step
                training.advance()


def _receive_assignment(world: World) -> Training | None:
    """The training that rank 0 assigns; None if there is nothing to train. Raises: FemtoError."""
    message = world.broadcast()
    if not message:
        return None
    assignment = msgspec.msgpack.decode(message, type=Assignment)
    config = assignment.config
    source = unpack_text(assignment.text, config.data, config.train.seed)
    training = Training(config, source, load_tokenizer(assignment.tokenizer), world)
    vectors = training.vectors()
    for vector in vectors.values():
        world.align(vector)
    small = {"recent_losses": np.zeros(0), "lr_scale": np.array([assignment.lr_scale])}
    training.restore({**vectors, **small}, assignment.step, assignment.elapsed_s)
    return training


def _versions(world: World) -> list[str]:
    gathered = world.gather(versions_here().encode(), _MAX_VERSIONS_BYTES)
    return [versions.decode(errors="replace") for versions in gathered]


def _threads_per_rank(world: World) -> int:
    """Threads that every rank has cores for: one number for all, so that their shares are equal."""
    return world.least(threads_here(usable_cores(), os.cpu_count() or 1, world.ranks_here))


def threads_here(usable: int, cores: int, ranks_here: int) -> int:
    """Threads for each rank of a machine; some launchers already give each rank cores of its own."""
    return usable if usable < cores else max(1, usable // ranks_here)


def total_threads(size: int, each: int, batch: int) -> int:
    """The threads of all ranks together. Raises: ConfigError if the batch has too few sequences."""
    if size > batch:
        raise ConfigError(
            f"{size:,} processes cannot share a batch of {batch:,} sequences: start at most {batch:,}"
        )
    return size * min(each, batch // size)
