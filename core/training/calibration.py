"""How many threads share a batch, and how much each works on at a time: found out by a short measurement.

The choice decides the order of sums and so the last bits of every number. It is therefore remembered (see
`remembered_choice`), recorded in the run and used again when the run is resumed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from ..config import ModelConfig, Recipe, RunConfig
from ..machine import describe_machine
from ..model.gpt import Model
from ..model.parameters import initial_parameters
from .workers import Workers, choose_chunk, choose_threads

LONGEST_STEP_MS = 60.0
"""Where the usual choice takes longer than this, arithmetic outweighs all else and nothing is tried."""

LEAST_GAIN = 1.03
"""Another choice must be this much faster than the usual one: below that it is noise."""

LARGE_STEP_FLOP = 20e9
"""A step with more arithmetic than this takes longer than that on any laptop. Part of its batch is timed, for
the sake of a quick start."""

_PART = 4
_FORMAT = 1
_TIMED_STEPS = 3


class ThreadChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Threads, sequences at a time, and the milliseconds that forward and backward took with them.

    `step_ms` is what a step took in the last run, everything included; None before there was one.
    """

    threads: int
    chunk: int
    ms: float
    step_ms: float | None = None


class _Remembered(msgspec.Struct, kw_only=True):
    format: int = _FORMAT
    choices: dict[str, ThreadChoice] = msgspec.field(default_factory=dict)


def remembered_choice(file: Path, model: ModelConfig, recipe: Recipe, batch: int) -> ThreadChoice:
    """The choice in `file` for this machine and size, or a new one, measured and added to it.

    A file that cannot be read or written only costs the measurement.
    """
    key = _key(model, recipe, batch)
    kept = _read(file)
    if key in kept.choices:
        return kept.choices[key]
    choice = measured_choice(model, recipe, batch)
    _remember(file, key, choice)
    return choice


def remember_step(file: Path, config: RunConfig, ms: float) -> None:
    """Add to the choice in `file` what a step took in a run that used it. The choice stays what it is."""
    train = config.train
    key = _key(config.model, config.recipe, train.batch)
    choice = _read(file).choices.get(key)
    if choice is not None and (choice.threads, choice.chunk) == (train.threads, train.chunk):
        _remember(file, key, msgspec.structs.replace(choice, step_ms=ms))


def _remember(file: Path, key: str, choice: ThreadChoice) -> None:
    kept = _read(file)  # anew: another process may have measured another size meanwhile
    kept.choices[key] = choice
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.{os.getpid()}")
        new.write_bytes(msgspec.json.encode(kept))
        new.replace(file)


def known_choice(file: Path, model: ModelConfig, recipe: Recipe, batch: int) -> ThreadChoice | None:
    """The choice that `file` remembers for this machine and size; nothing is measured."""
    return _read(file).choices.get(_key(model, recipe, batch))


def measured_choice(model: ModelConfig, recipe: Recipe, batch: int) -> ThreadChoice:
    """The fastest of a few candidates, the usual one if none is clearly faster."""
    usual, *others = _candidates(model, batch)
    if 6 * model.n_parameters * model.context * batch > LARGE_STEP_FLOP:
        return _measured_in_part(model, recipe, batch, *usual)
    first = _measured(model, recipe, batch, *usual)
    if first.ms > LONGEST_STEP_MS:
        return first
    best = min((_measured(model, recipe, batch, *other) for other in others), key=_ms, default=first)
    return best if best.ms * LEAST_GAIN < first.ms else first


def _measured_in_part(
    model: ModelConfig, recipe: Recipe, batch: int, threads: int, chunk: int
) -> ThreadChoice:
    """That choice, timed on a share of the batch: the time goes with the sequences."""
    part = max(threads, batch // _PART)
    timed = _measured(model, recipe, part, threads, min(chunk, -(-part // threads)))
    return ThreadChoice(threads=threads, chunk=chunk, ms=timed.ms * batch / part)


def _ms(choice: ThreadChoice) -> float:
    return choice.ms


def _candidates(model: ModelConfig, batch: int) -> Iterator[tuple[int, int]]:
    """The usual choice first; then smaller chunks, which stay in the cache, and fewer threads."""
    most = choose_threads(batch)
    usual_chunk = choose_chunk(model, batch, most)
    yield most, usual_chunk
    if usual_chunk > 1:
        yield most, -(-usual_chunk // 2)
    fewer = most
    while fewer > 1:  # with many cores and a tiny model, threads wait for one another's Python
        fewer = -(-fewer // 2)
        yield fewer, choose_chunk(model, batch, fewer)


def _measured(model: ModelConfig, recipe: Recipe, batch: int, threads: int, chunk: int) -> ThreadChoice:
    """The best of a few steps after one that warms up; that one alone if it is slow enough to judge by."""
    flat_P = initial_parameters(model, recipe.init, 0)
    rng = np.random.default_rng(0)
    shape = (batch, model.context)
    inputs_BT, targets_BT = (rng.integers(0, model.vocab_size, shape, np.int32) for _ in range(2))
    workers = Workers(Model(model, recipe, flat_P), model, batch, threads, chunk)
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
