"""The protocol between the app and a trainer process: MessagePack of typed structs, one struct per frame.

Commands travel to the trainer, messages to the app. A child process is reached through a `PipeChannel`, a
detached trainer through a `multiprocessing.connection.Connection` (see remote). Both have `recv_bytes` and
`send_bytes`, and nothing but bytes is sent: no pickles.
"""

from __future__ import annotations

from contextlib import suppress
from typing import IO, TYPE_CHECKING, TypeAlias, TypeVar, Union

import msgspec

from femtotui.core.commands import Command, Steering
from femtotui.core.config import RunConfig
from femtotui.core.errors import FemtoError
from femtotui.core.events import AnyEvent

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    import numpy as np
    from numpy.typing import NDArray

MAX_COMMAND_BYTES = 4 * 1024 * 1024
MAX_MESSAGE_BYTES = 2**31 - 1
"""A snapshot of the largest model that fits a laptop; more is damage."""

_LENGTH_BYTES = 4

Channel: TypeAlias = Union["PipeChannel", "Connection"]
_Struct = TypeVar("_Struct")


class ProtocolError(FemtoError):
    """A frame that is truncated, too long or not understood."""

    title = "Trouble with the trainer process"


# -- commands: those of core.commands, and what begins and leaves a training ------------------------------


class Start(Command, frozen=True):
    """Begin a new run in the folder `runs`. The first command to a trainer process is Start or Continue.

    `text` is a file with the text (see text_transfer), where it does not come from what the settings name.
    """

    config: RunConfig
    runs: str
    text: str = ""


class Continue(Command, frozen=True):
    """Resume the run in the folder `run` from its newest checkpoint.

    With `history`, first send its earlier events, for an app that has not seen them. `text` is as for Start.
    """

    run: str
    history: bool = False
    text: str = ""


class Detach(Command, frozen=True):
    """Continue without the app, which may attach again later."""


AnyCommand = Start | Continue | Detach | Steering


# -- messages ----------------------------------------------------------------------------------------------


class _Message(msgspec.Struct, frozen=True, tag_field="message", tag=True):
    pass


class EventsArrived(_Message, frozen=True):
    """Events of the training, oldest first; at most ten such messages per second while it only steps."""

    events: tuple[AnyEvent, ...]


class SnapshotArrived(_Message, frozen=True, eq=False):
    """The parameters at `step`; `data` is the flat vector, raw little-endian float32."""

    step: int
    train_loss: float
    data: memoryview

    @property
    def parameters_P(self) -> NDArray[np.float32]:  # noqa: N802  (array names carry their shape)
        """The flat vector, read-only and not copied."""
        import numpy as np  # noqa: PLC0415  (the app draws its first frame without it)

        return np.frombuffer(self.data, "<f4")


class TrainerDetached(_Message, frozen=True):
    """The process `pid` continues without this app; the last message after Detach."""

    pid: int


class AttachRefused(_Message, frozen=True):
    """The trainer accepts no further app, for `reason`."""

    reason: str


class TrainerExited(_Message, frozen=True):
    """The process has ended, with `stderr` as its last lines. Made by the client, never sent."""

    code: int
    stderr: str


TrainerMessage = EventsArrived | SnapshotArrived | TrainerDetached | AttachRefused | TrainerExited


# -- frames ------------------------------------------------------------------------------------------------

_encoder = msgspec.msgpack.Encoder()
_command_decoder: msgspec.msgpack.Decoder[AnyCommand] = msgspec.msgpack.Decoder(AnyCommand)
_message_decoder: msgspec.msgpack.Decoder[TrainerMessage] = msgspec.msgpack.Decoder(TrainerMessage)


class PipeChannel:
    """Frames over two byte streams, each preceded by its length.

    Twice as fast as a `Connection` over the same pipe, which copies every frame once more and does not exist
    for the anonymous pipes of Windows.
    """

    def __init__(self, incoming: IO[bytes], outgoing: IO[bytes]) -> None:
        self.incoming, self.outgoing = incoming, outgoing

    def send_bytes(self, payload: bytes) -> None:
        """Write one frame and flush. Raises: OSError when nobody reads any more."""
        self.outgoing.write(len(payload).to_bytes(_LENGTH_BYTES, "little"))
        self.outgoing.write(payload)  # on its own: put together, all parameters would be copied once more
        self.outgoing.flush()

    def close(self) -> None:
        """Close the outgoing stream; the incoming one may be in use by another thread."""
        with suppress(OSError):  # what is left in its buffer cannot be written any more
            self.outgoing.close()

    def recv_bytes(self, maxlength: int) -> bytes:
        """Read one frame. Raises: EOFError at the end, ProtocolError for a truncated or too long frame."""
        prefix = self.incoming.read(_LENGTH_BYTES)
        if not prefix:
            raise EOFError
        length = int.from_bytes(prefix, "little")
        if len(prefix) < _LENGTH_BYTES:
            raise ProtocolError("the stream ended inside a frame's length")
        if length > maxlength:
            raise ProtocolError(f"a frame claims {length:,} bytes; at most {maxlength:,} are allowed")
        payload = self.incoming.read(length)
        if len(payload) < length:
            raise ProtocolError(f"the stream ended inside a frame: {len(payload):,} of {length:,} bytes")
        return payload


def send_frame(channel: Channel, content: Command | TrainerMessage) -> None:
    """Send one frame. Raises: OSError when nobody reads any more, ProtocolError if it is too long."""
    payload = _encoder.encode(content)
    if len(payload) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"a frame of {len(payload):,} bytes is too long")
    channel.send_bytes(payload)


def receive_command(channel: Channel) -> AnyCommand:
    """Wait for the next command. Raises: EOFError at the end, OSError, ProtocolError."""
    return _decode(_command_decoder, channel.recv_bytes(MAX_COMMAND_BYTES))


def receive_message(channel: Channel) -> TrainerMessage:
    """Wait for the next message of a trainer. Raises: EOFError at the end, OSError, ProtocolError."""
    return _decode(_message_decoder, channel.recv_bytes(MAX_MESSAGE_BYTES))


def _decode(decoder: msgspec.msgpack.Decoder[_Struct], payload: bytes) -> _Struct:
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, FemtoError, RecursionError) as error:
        raise ProtocolError(f"a frame cannot be understood: {error}") from error
