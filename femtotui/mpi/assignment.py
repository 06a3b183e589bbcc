"""What rank 0 gives the others before the first step: the settings, the tokenizer, the text, the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from femtotui.core.config import RunConfig
from femtotui.core.tokenizer import load_tokenizer
from femtotui.core.train import Training

from ..text_parcel import TextParcel, pack_text, unpack_text

if TYPE_CHECKING:
    from .world import World


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
