"""Errors whose message tells the user what to do.

A `FemtoError` is raised where the fault is known and shown once, by the front end, as `title: message`. Any
other exception is a bug.
"""

from __future__ import annotations

from typing import ClassVar


class FemtoError(Exception):
    """Base of all errors that are shown to the user."""

    title: ClassVar[str] = "Something went wrong"


OUT_OF_MEMORY = (
    "Out of memory",
    "this machine has no memory left: choose a smaller model, batch or chunk, or fewer threads",
)
"""Title and message of a training that failed with a MemoryError."""


class _SettingError(FemtoError):
    """An error about a setting.

    `field` is the setting's dotted path as in TOML (`model.n_layers`), relative to the group that raised it,
    and empty if no single setting is wrong. `reason` says why (`must be ...`); the message is both.
    """

    def __init__(self, reason: str, field: str = "", prefix: str = "") -> None:
        super().__init__(prefix + (f"{field} {reason}" if field else reason))
        self.reason, self.field = reason, field


class ConfigError(_SettingError, ValueError):
    """An invalid setting."""

    title = "That setting does not work"


class PresetError(_SettingError):
    """A preset or recipe that does not exist or cannot be read."""

    title = "Trouble with a preset"


class UnknownPresetError(PresetError):
    """A preset's name or number that does not exist."""


class DataError(FemtoError):
    """Training text that is missing, empty, unreadable or too short."""

    title = "Trouble with the data"


class TextUnavailableError(DataError):
    """A packaged source whose text cannot be downloaded or has no stand-in here."""


class TokenizerError(FemtoError):
    """Text that a tokenizer cannot encode, or a tokenizer that cannot be built."""

    title = "Trouble with the tokenizer"


class CheckpointError(FemtoError):
    """A checkpoint that is damaged, of another program, or does not fit the model."""

    title = "Trouble with a checkpoint"


class NoCheckpointError(CheckpointError):
    """A run without any checkpoint yet."""


class RunError(FemtoError):
    """A run folder that cannot be created, read or written."""

    title = "Trouble with a run folder"


class RunLockedError(RunError):
    """A run that another process is training."""


class ModelError(FemtoError):
    """A model that cannot be sampled from."""

    title = "Trouble with the model"


class DivergedError(FemtoError):
    """A loss that is no longer finite."""

    title = "Training diverged"
