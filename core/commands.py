"""What one can ask of a training that runs: frozen, typed commands, in the imperative."""

from __future__ import annotations

import math
import re

import msgspec

from .errors import ConfigError


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag=_snake_case):
    """The base of all commands."""


class Pause(Command, frozen=True):
    """Save, then wait. The time does not count."""


class Resume(Command, frozen=True):
    """Go on after a pause."""


class SaveCheckpoint(Command, frozen=True):
    """Save now."""


class SetLearningRate(Command, frozen=True):
    """Take another base learning rate from the next step on.

    Raises: ConfigError where it is made, so that the person who typed it hears of it.
    """

    base_lr: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.base_lr) and 0 < self.base_lr <= 10):
            raise ConfigError(f"learning rate must be above 0 and at most 10, not {self.base_lr:g}")


class Snapshot(Command, frozen=True):
    """Hand out the parameters as they are now."""


class Stop(Command, frozen=True):
    """Save and end; the run can be resumed."""


Steering = Pause | Resume | SaveCheckpoint | SetLearningRate | Snapshot | Stop
"""The commands that a training obeys between two steps."""
