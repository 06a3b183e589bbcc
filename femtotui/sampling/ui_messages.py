"""Messages between threads, the app and its widgets.

Trainer messages are never dropped: they wait in a `Link` (see manager.py) until they are taken. What travels
through Textual's queues is only the word that something waits, and a newer word replaces an older one.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from femtotui.core.run_folder.saved_model import SavedModel
from femtotui.core.sampling.sampler import SampledToken

from ..runs.library import RunRow
from .stream import Piece


class TrainerSpoke(Message):
    """Something from a trainer waits to be taken; posted from reader threads."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, TrainerSpoke)


@dataclass
class PresetChosen(Message):
    """A person chose a preset from the list."""

    key: str


@dataclass
class PresetPointedAt(Message):
    """The cursor of the list is on a preset; or, with no key, on a file that is none, and why."""

    key: str
    problem: str = ""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, PresetPointedAt)


@dataclass
class RunPointedAt(Message):
    """The cursor of the list of runs is on this one."""

    row: RunRow

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, RunPointedAt)


@dataclass
class RunChosen(Message):
    """A person chose a run from the list."""

    row: RunRow


class FilterLeft(Message):
    """A person is done with filtering the list."""


@dataclass
class SampleAsked(Message):
    """A person pressed Enter in the prompt."""

    prompt: str


@dataclass
class SampleGrew(Message):
    """A piece of sample `number`, posted from the sampling thread."""

    number: int
    piece: Piece


@dataclass
class ModelOpened(Message):
    """A saved model to compare with is there, or `failure` says why not; posted from a thread.

    `this` is the one to set beside it, None for the run that trains.
    """

    model: SavedModel | None
    failure: str = ""
    this: SavedModel | None = None


@dataclass
class TextRead(Message):
    """A text has been read, by one model or by two; posted from a thread.

    `differences`, one a token, are by how many bits the first foresaw it better.
    """

    number: int
    prompt: bytes
    tokens: tuple[SampledToken, ...]
    differences: tuple[float, ...] = ()
    others: tuple[SampledToken, ...] = ()
    failure: str = ""


@dataclass
class DownloadMoved(Message):
    """Bytes of the English text have arrived; posted from the downloading thread."""

    received: int
    total: int

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, DownloadMoved)


@dataclass
class DownloadEnded(Message):
    """The English text is there, or `failure` says in words why not."""

    failure: str = ""
