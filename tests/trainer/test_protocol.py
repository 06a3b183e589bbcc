"""Frames come through whole or as an error in words, however the bytes are cut."""

from __future__ import annotations

import io

import msgspec
import numpy as np
import pytest

from femtotui.core.commands import Pause, SetLearningRate, Stop
from femtotui.core.config import RunConfig
from femtotui.core.events import EvalDone, Paused, RunFailed, StepDone
from femtotui.presets import load_preset, run_config
from femtotui.trainer.protocol import (
    MAX_COMMAND_BYTES,
    Continue,
    EventsArrived,
    PipeChannel,
    ProtocolError,
    SnapshotArrived,
    Start,
    receive_command,
    receive_message,
    send_frame,
)

EVENTS = [
    StepDone(step=1, loss=5.5, lr=0.0, grad_norm=2.0, ms=18.0, elapsed_s=0.018, rss_mib=49.5),
    EvalDone(step=1, val_loss=float("inf"), train_loss=5.5, elapsed_s=0.02),
    RunFailed(step=1, title="Training diverged", message="the loss became nan \x1b[2J é", run=None),
]


def channel(data: bytes = b"") -> PipeChannel:
    stream = io.BytesIO(data)
    return PipeChannel(stream, stream)


def written(*contents) -> PipeChannel:
    made = channel()
    for content in contents:
        send_frame(made, content)
    made.incoming.seek(0)
    return made


def start() -> Start:
    return Start(config=run_config(load_preset("10"), steps=5, seed=3), runs="/somewhere/ünï codé")


def test_every_command_comes_through_and_then_the_end() -> None:
    commands = [start(), Continue(run="r"), Pause(), SetLearningRate(base_lr=0.5), Stop()]
    sent = written(*commands)
    assert [receive_command(sent) for _ in commands] == commands
    with pytest.raises(EOFError):
        receive_command(sent)


def test_a_configuration_arrives_as_it_was() -> None:
    arrived = receive_command(written(start()))
    assert isinstance(arrived, Start)
    assert isinstance(arrived.config, RunConfig)
    assert arrived.config == start().config


def test_events_come_through_in_order_with_numbers_that_are_not_finite() -> None:
    sent = written(EventsArrived(tuple(EVENTS)), EventsArrived((Paused(step=2),)))
    assert receive_message(sent).events == tuple(EVENTS)
    assert receive_message(sent).events == (Paused(step=2),)
    with pytest.raises(EOFError):
        receive_message(sent)


def test_a_snapshot_is_raw_float32() -> None:
    parameters_P = np.linspace(-1, 1, 1001, dtype="<f4")
    snapshot = receive_message(written(SnapshotArrived(7, 1.25, parameters_P.data.cast("B"))))
    assert (snapshot.step, snapshot.train_loss) == (7, 1.25)
    np.testing.assert_array_equal(snapshot.parameters_P, parameters_P)
    assert not snapshot.parameters_P.flags.writeable


def test_a_frame_torn_anywhere_is_an_error() -> None:
    whole = written(SetLearningRate(base_lr=0.5)).incoming.getvalue()
    for length in range(1, len(whole)):
        with pytest.raises(ProtocolError, match="ended inside"):
            receive_command(channel(whole[:length]))


@pytest.mark.parametrize("length", [MAX_COMMAND_BYTES + 1, 2**32 - 1])
def test_a_frame_that_claims_too_much_is_refused_unread(length: int) -> None:
    sent = channel(length.to_bytes(4, "little") + b"x" * 100)
    with pytest.raises(ProtocolError, match="claims"):
        receive_command(sent)
    assert sent.incoming.tell() == 4


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"not msgpack at all",
        msgspec.msgpack.encode({"command": "fly"}),
        msgspec.msgpack.encode({"command": "set_learning_rate"}),
        msgspec.msgpack.encode({"command": "set_learning_rate", "base_lr": -1.0}),
        msgspec.msgpack.encode({"command": "set_learning_rate", "base_lr": "fast"}),
        msgspec.msgpack.encode({"command": "start", "config": {}, "runs": "r"}),
        b"\x91" * 100_000,
    ],
)
def test_what_cannot_be_a_command_is_an_error(payload: bytes) -> None:
    with pytest.raises(ProtocolError, match="cannot be understood"):
        receive_command(channel(len(payload).to_bytes(4, "little") + payload))


def test_a_configuration_that_cannot_be_is_an_error_in_words() -> None:
    raw = msgspec.to_builtins(start())
    raw["config"]["model"]["n_heads"] = 5
    payload = msgspec.msgpack.encode(raw)
    with pytest.raises(ProtocolError, match="must be a multiple of n_heads 5"):
        receive_command(channel(len(payload).to_bytes(4, "little") + payload))
