"""Choosing the number of threads and the chunk size by a short measurement.

The choice decides the order of sums, and so the last bits of every number. It is therefore cached in a file,
recorded in the run and used again when the run is resumed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np

from ..config import ModelConfig, Recipe, RunConfig
from ..files import write_atomically
from ..machine import describe_machine
from ..model.gpt import Model
from ..model.parameters import initial_parameters
from .workers import Workers, choose_chunk, choose_threads

LONGEST_STEP_MS = 60.0
"""If the default choice takes longer than this, arithmetic dominates and no other is tried."""

MIN_GAIN = 1.03
"""Another choice must be faster than the default by this factor; less is noise."""

LARGE_STEP_FLOP = 20e9
"""A step with more arithmetic takes longer than that on any laptop; only part of its batch is timed."""

_PART = 4
_FORMAT = 1
_TIMED_STEPS = 3


class ThreadChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Threads, chunk (sequences at a time), and the milliseconds of a forward and backward with them.

    `step_ms` is the whole time per step in the last run; None before there was one.
    """

    threads: int
    chunk: int
    ms: float
    step_ms: float | None = None


class _Remembered(msgspec.Struct, kw_only=True):
    format: int = _FORMAT
    choices: dict[str, ThreadChoice] = msgspec.field(default_factory=dict)


def remembered_choice(file: Path, model: ModelConfig, recipe: Recipe, batch: int) -> ThreadChoice:
    """The choice in `file` for this machine and size; if there is none, it is measured and added.

    Errors of reading and writing are ignored.
    """
    choice = known_choice(file, model, recipe, batch)
    if choice is None:
        choice = measured_choice(model, recipe, batch)
        _remember(file, _key(model, recipe, batch), choice)
    return choice


def remember_step(file: Path, config: RunConfig, ms: float) -> None:
    """Add the time per step of a run to the choice in `file` that it used."""
    train = config.train
    key = _key(config.model, config.recipe, train.batch)
    choice = _read(file).choices.get(key)
    if choice is not None and (choice.threads, choice.chunk) == (train.threads, train.chunk):
        _remember(file, key, msgspec.structs.replace(choice, step_ms=ms))


def _remember(file: Path, key: str, choice: ThreadChoice) -> None:
    kept = _read(file)  # again: another process may have measured another size meanwhile
    kept.choices[key] = choice
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, msgspec.json.encode(kept))


def known_choice(file: Path, model: ModelConfig, recipe: Recipe, batch: int) -> ThreadChoice | None:
    """The choice in `file` for this machine and size, if any; nothing is measured."""
    return _read(file).choices.get(_key(model, recipe, batch))


def measured_choice(model: ModelConfig, recipe: Recipe, batch: int) -> ThreadChoice:
    """The fastest of a few candidates; the default if none is clearly faster."""
    (threads, chunk), *others = _candidates(model, batch)
    if 6 * model.n_parameters * model.context * batch > LARGE_STEP_FLOP:
        part = max(threads, batch // _PART)
        timed = _measured(model, recipe, part, threads, min(chunk, -(-part // threads)))
        return ThreadChoice(threads=threads, chunk=chunk, ms=timed.ms * batch / part)
    first = _measured(model, recipe, batch, threads, chunk)
    if first.ms > LONGEST_STEP_MS:
        return first
    measured = (_measured(model, recipe, batch, *other) for other in others)
    best = min(measured, key=attrgetter("ms"), default=first)
    return best if best.ms * MIN_GAIN < first.ms else first


def _candidates(model: ModelConfig, batch: int) -> Iterator[tuple[int, int]]:
    """The default choice first; then smaller chunks, which stay in the cache, and fewer threads."""
    most = choose_threads(batch)
    chunk = choose_chunk(model, batch, most)
    yield most, chunk
    if chunk > 1:
        yield most, -(-chunk // 2)
    fewer = most
    while fewer > 1:  # with a tiny model, many threads compete for Python's GIL
        fewer = -(-fewer // 2)
        yield fewer, choose_chunk(model, batch, fewer)


def _measured(model: ModelConfig, recipe: Recipe, batch: int, threads: int, chunk: int) -> ThreadChoice:
    """The fastest of a few steps; the first alone if it is slow."""
    flat_P = initial_parameters(model, recipe.init, 0)
    rng = np.random.default_rng(0)
    shape = (batch, model.context)
    inputs_BT, targets_BT = (rng.integers(0, model.vocab_size, shape, np.int32) for _ in range(2))
    workers = Workers(Model(model, recipe, flat_P), batch, threads, chunk)
    best = float("inf")
    try:
        for _ in range(1 + _TIMED_STEPS):
            start = time.perf_counter()
            workers.loss_and_gradient(inputs_BT, targets_BT, 0, 0)
            best = min(best, 1e3 * (time.perf_counter() - start))
            if best > 2 * LONGEST_STEP_MS:
                break
    finally:
        workers.team.close()
    return ThreadChoice(threads=threads, chunk=chunk, ms=best)


def _key(model: ModelConfig, recipe: Recipe, batch: int) -> str:
    size = f"{model.n_layers}/{model.width}/{model.n_heads}/{model.context}/{model.vocab_size}"
    return f"{describe_machine()} {size} dropout {model.dropout:g} batch {batch} {recipe.wiring}"


def _read(file: Path) -> _Remembered:
    with suppress(OSError, msgspec.MsgspecError):
        kept = msgspec.json.decode(file.read_bytes(), type=_Remembered)
        if kept.format == _FORMAT:
            return kept
    return _Remembered()
