"""Messages between a sweep's coordinator and its workers: MessagePack of typed structs, as bytes.

Dask wraps these bytes in messages of its own, which may hold pickles: see pickles.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import msgspec

from femtotui.core.config import RunConfig

from .spec import ClusterError

MAX_REPORT_BYTES = 2**16
MAX_REPLY_BYTES = 2**32
"""A run folder, of which MessagePack cannot hold more."""

EndState = Literal["finished", "stopped", "failed"]
Words = Annotated[str, msgspec.Meta(max_length=10_000)]
_Message = TypeVar("_Message", bound=msgspec.Struct)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """To a worker: train this. `seconds` is the budget of training time, None for steps alone."""

    sweep: str
    index: int
    config: RunConfig
    versions: str
    seconds: float | None


class RunFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a run. Losses in nats per token, `score` in `unit`, times in seconds of training."""

    index: int
    worker: Words = ""
    step: int = 0
    train_loss: float | None = None
    val_loss: float | None = None
    score: float | None = None
    unit: Words = ""
    elapsed_s: float = 0.0


class SweepReport(RunFigures, frozen=True, kw_only=True, rename={"train_loss": "loss"}):
    """From a worker, about once per second: the progress of a run of `steps` steps.

    `begins` marks the first report of an attempt; `step` is then where it starts from.
    """

    begins: bool
    steps: int
    eval_step: int = 0
    ms: float = 0.0


class Outcome(RunFigures, frozen=True, kw_only=True):
    """The result of a run.

    `success_step` and `success_s` are those of the first score that counts as success. `note` describes
    interruptions, `reason` why it failed; `run` is its folder: a name from a worker, a path once unpacked.
    """

    state: EndState
    success_step: int | None = None
    success_s: float | None = None
    reason: Words = ""
    note: Words = ""
    run: Words = ""


def failed_outcome(index: int, worker: str, reason: str, step: int = 0, run: str = "") -> Outcome:
    return Outcome(index=index, state="failed", worker=worker, step=step, reason=reason, run=run)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an order: its outcome with the run folder as an archive.

    None from a worker whose versions differ from the order's.
    """

    outcome: Outcome | None = None
    archive: bytes = b""


def encode(message: msgspec.Struct) -> bytes:
    return msgspec.msgpack.encode(message)


def decode(data: object, kind: type[_Message], limit: int = MAX_REPLY_BYTES) -> _Message:
    """Raises: ClusterError if `data` is no such message."""
    if not isinstance(data, bytes):
        raise ClusterError(f"a message that cannot be understood arrived: {type(data).__name__}, not bytes")
    if len(data) > limit:
        raise ClusterError(f"a message that is too long arrived: {len(data):,} bytes")
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise ClusterError(f"a message that cannot be understood arrived: {error}") from error
