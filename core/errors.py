"""Everything that can go wrong in words a person can act on.

A `FemtoError` is raised where the fault is known and shown once, at the edge: the command line prints
`title: message` and exits with 2, the app shows it at the place. Any other exception is a bug.
"""

from __future__ import annotations

from typing import ClassVar


class FemtoError(Exception):
    """A mistake or a misfortune with something that its reader can do about it."""

    title: ClassVar[str] = "Something went wrong"


class ConfigError(FemtoError, ValueError):
    """A setting that cannot be: names the setting, its value and what would do."""

    title = "That setting does not work"


class DataError(FemtoError):
    """Training text that is missing, empty, unreadable or too short."""

    title = "Trouble with the data"


class TokenizerError(FemtoError):
    """Text that a tokenizer cannot encode, or a tokenizer that cannot be made."""

    title = "Trouble with the tokenizer"


class PresetError(FemtoError):
    """A preset or recipe that does not exist or does not parse."""

    title = "Trouble with a preset"


class CheckpointError(FemtoError):
    """A checkpoint that is damaged, foreign or does not fit the model."""

    title = "Trouble with a checkpoint"


class RunError(FemtoError):
    """A run folder that cannot be made, read or written."""

    title = "Trouble with a run folder"


class ModelError(FemtoError):
    """A model that cannot be sampled from."""

    title = "Trouble with the model"


class DivergedError(FemtoError):
    """The loss is no longer a finite number."""

    title = "Training diverged"
