"""The commands that the app sends to a trainer process: what to train, and how to steer it."""

from __future__ import annotations

from femtotui.core.commands import (
    Checkpoint,
    Command,
    Pause,
    Resume,
    SetLearningRate,
    Snapshot,
    Steering,
    Stop,
)
from femtotui.core.config import RunConfig

__all__ = [
    "AnyCommand",
    "Checkpoint",
    "Command",
    "Continue",
    "Detach",
    "Pause",
    "Resume",
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
