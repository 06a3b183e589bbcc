"""Messages between threads, the app and its widgets.

Trainer messages are never dropped: they wait in a `Link` (see desk.py) until they are taken. What travels
through Textual's queues is only the word that something waits, and a newer word replaces an older one.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from femtotui.core.sample import SampledToken


class TrainerSpoke(Message):
    """Something from a trainer waits to be taken; posted from reader threads."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, TrainerSpoke)


@dataclass
class PresetChosen(Message):
    """A person chose a preset from the list."""

    key: str


@dataclass
class SampleAsked(Message):
    """A person pressed Enter in the prompt."""

    prompt: str


@dataclass
class SampleGrew(Message):
    """A piece of sample `number`, posted from the sampling thread; `failure` says why it ended early."""

    number: int
    tokens: tuple[SampledToken, ...]
    done: bool = False
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
