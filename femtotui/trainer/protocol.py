"""The commands that the app sends to a trainer process: what to train, and how to steer it."""

from __future__ import annotations

from typing import IO, TypeVar

import msgspec

from femtotui.core.commands import (
    Command,
    Pause,
    Resume,
    SaveCheckpoint,
    SetLearningRate,
    Snapshot,
    Steering,
    Stop,
)
from femtotui.core.config import RunConfig
from femtotui.core.errors import FemtoError
from femtotui.core.events import AnyEvent, Event

__all__ = [
    "AnyCommand",
    "Command",
    "Continue",
    "Detach",
    "Pause",
    "Resume",
    "SaveCheckpoint",
    "SetLearningRate",
    "Snapshot",
    "Start",
    "Steering",
    "Stop",
]


class Start(Command, frozen=True):
    """Begin a new run in the folder `runs`. The first command to a trainer process is Start or Continue.

    `text` is a file with the text (see text_parcel), where it does not come from what the settings name.
    """

    config: RunConfig
    runs: str
    text: str = ""


class Continue(Command, frozen=True):
    """Go on with the run in the folder `run`, from its newest checkpoint.

    With `history`, say first what it did before: for an app that has not seen it. `text` is as for Start.
    """

    run: str
    history: bool = False
    text: str = ""


class Detach(Command, frozen=True):
    """Go on without the app: it leaves, and may come back through the trainer's door."""


AnyCommand = Start | Continue | Detach | Steering


MAX_HELLO_BYTES = 1024
MAX_COMMAND_BYTES = 4 * 1024 * 1024
MAX_REPORT_BYTES = 2**31 - 1
"""A snapshot of the largest model that fits a laptop; more is damage."""

_LENGTH_BYTES = 4

_Message = TypeVar("_Message")


class WireError(FemtoError):
    """A frame that is torn, too long or not what it should be."""

    title = "Trouble with the trainer process"


class EventsFrame(msgspec.Struct, frozen=True, tag_field="frame", tag="events"):
    """Some events, oldest first."""

    events: tuple[AnyEvent, ...]


class SnapshotFrame(msgspec.Struct, frozen=True, tag_field="frame", tag="snapshot"):
    """The parameters at a step; `parameters` is the flat vector, raw little-endian float32."""

    step: int
    train_loss: float
    parameters: memoryview


class DetachedFrame(msgspec.Struct, frozen=True, tag_field="frame", tag="detached"):
    """The trainer goes on without the app; nothing more will come. `pid` is its process."""

    pid: int


class RefusedFrame(msgspec.Struct, frozen=True, tag_field="frame", tag="refused"):
    """Who knocked at the trainer's door may not come in; `reason` says why."""

    reason: str


class Hello(msgspec.Struct, frozen=True):
    """The first frame to a trainer's door: the secret of its address file."""

    secret: str


AnyFrame = EventsFrame | SnapshotFrame | DetachedFrame | RefusedFrame

_encoder = msgspec.msgpack.Encoder()
_command_decoder: msgspec.msgpack.Decoder[AnyCommand] = msgspec.msgpack.Decoder(AnyCommand)
_hello_decoder: msgspec.msgpack.Decoder[Hello] = msgspec.msgpack.Decoder(Hello)
_frame_decoder: msgspec.msgpack.Decoder[AnyFrame] = msgspec.msgpack.Decoder(AnyFrame)


def write_frame(stream: IO[bytes], message: Command | AnyFrame | Hello) -> None:
    """Writes one frame and flushes. Raises: OSError when nobody reads any more, WireError if too long."""
    payload = _encoder.encode(message)
    if len(payload) > MAX_REPORT_BYTES:
        raise WireError(f"a frame of {len(payload):,} bytes is too long")
    stream.write(len(payload).to_bytes(_LENGTH_BYTES, "little"))
    stream.write(payload)  # on its own: put together, there would be a second copy of all parameters
    stream.flush()


def events_frame(events: list[Event]) -> EventsFrame:
    """A frame of `events`."""
    return EventsFrame(tuple(events))  # type: ignore[arg-type]  # every Event is one of AnyEvent


def read_command(stream: IO[bytes]) -> AnyCommand | None:
    """The next command, or None at the end. Raises: WireError."""
    payload = _read_payload(stream, MAX_COMMAND_BYTES)
    return None if payload is None else _decode(_command_decoder, payload)


def read_hello(stream: IO[bytes]) -> Hello | None:
    """Who knocks, or None if nobody says anything. Raises: WireError."""
    payload = _read_payload(stream, MAX_HELLO_BYTES)
    return None if payload is None else _decode(_hello_decoder, payload)


def read_frame(stream: IO[bytes]) -> AnyFrame | None:
    """The next frame from a trainer, or None at the end. Raises: WireError."""
    payload = _read_payload(stream, MAX_REPORT_BYTES)
    return None if payload is None else _decode(_frame_decoder, payload)


def _read_payload(stream: IO[bytes], limit: int) -> bytes | None:
    prefix = stream.read(_LENGTH_BYTES)
    if not prefix:
        return None
    length = int.from_bytes(prefix, "little")
    if len(prefix) < _LENGTH_BYTES:
        raise WireError("the stream ended inside a frame's length")
    if length > limit:
        raise WireError(f"a frame claims {length:,} bytes; at most {limit:,} are allowed")
    payload = stream.read(length)
    if len(payload) < length:
        raise WireError(f"the stream ended inside a frame: {len(payload):,} of {length:,} bytes")
    return payload


def _decode(decoder: msgspec.msgpack.Decoder[_Message], payload: bytes) -> _Message:
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, FemtoError, RecursionError) as error:
        raise WireError(f"a frame cannot be understood: {error}") from error
