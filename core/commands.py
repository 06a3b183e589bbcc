"""Commands to a running training: frozen, typed, in the imperative."""

from __future__ import annotations

from .config import ConfigStruct, Rate
from .events import snake_case


class Command(ConfigStruct, frozen=True, forbid_unknown_fields=False, tag_field="command", tag=snake_case):
    """Base of all commands."""


class Pause(Command, frozen=True):
    """Save a checkpoint, then wait; the waiting time does not count as training time."""


class Resume(Command, frozen=True):
    """Continue after a pause."""


class SaveCheckpoint(Command, frozen=True):
    """Save a checkpoint now."""


class SetLearningRate(Command, frozen=True):
    """Use another base learning rate from the next step on. Raises: ConfigError on creation."""

    base_lr: Rate


class Snapshot(Command, frozen=True):
    """Send a copy of the current parameters."""


class InspectStep(Command, frozen=True):
    """Measure the next step from within, and report it as StepInspected; the step itself stays the same."""


class Stop(Command, frozen=True):
    """Save a checkpoint and end; the run can be resumed."""


Steering = Pause | Resume | SaveCheckpoint | SetLearningRate | Snapshot | InspectStep | Stop
"""The commands that a training obeys between two steps."""
