"""What the sampling screen has a model do in threads: write, read a text, read it with another beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from textual import work
from textual.message import Message
from textual.worker import get_current_worker

from femtotui.core.errors import FemtoError
from femtotui.core.run_folder.saved_model import SavedModel, open_saved
from femtotui.core.sampling.sampler import SampledToken

from ..runs.actions import RunActions
from ..runs.state import Status
from ..widgets.dialogs import InTurn
from .fields import AGAINST, Asked
from .models import LiveModel, NewestModel, OneShot, PinnedModel, compare, read_text, require_writable
from .stream import Piece, stream

_Tokens = Callable[[], Iterator[SampledToken]]


@dataclass
class SampleGrew(Message):
    """A piece of sample `number`, posted from the sampling thread."""

    number: int
    piece: Piece


@dataclass
class TextRead(Message):
    """A text has been scored, by one model or by two; posted from a thread.

    `differences`, one per token, are by how many bits the first foresaw it better.
    """

    number: int
    prompt: bytes
    tokens: tuple[SampledToken, ...]
    differences: tuple[float, ...] = ()
    others: tuple[SampledToken, ...] = ()
    failure: str = ""


@dataclass
class ModelOpened(Message):
    """A saved model to compare with is open, or `failure` says why not; posted from a thread.

    `this` is the one to set beside it, None for the run that trains.
    """

    model: SavedModel | None
    failure: str = ""
    this: SavedModel | None = None


class ReadingScreen(InTurn[None]):
    """Keeps up with the current run's newest parameters, and starts the work that they do.

    What comes of it arrives as SampleGrew, TextRead and ModelOpened; only the newest of each kind counts.
    """

    def __init__(self, actions: RunActions, newest: NewestModel) -> None:
        super().__init__()
        self.actions = actions
        self._newest = newest
        self.model: LiveModel | PinnedModel | None = None
        self.other: SavedModel | None = None
        self.writing = 0
        self.reading = 0
        self._reading_lock = threading.Lock()

    def newer_model(self) -> bool:
        """Take the run's newest parameters; whether they are others than before.

        A pinned model stays.
        """
        place = self.actions.current
        if place is None or place.snapshot is None or place.state.started is None:
            return False
        model = self._newest.of(Path(place.state.started.run), place.state.config, place.snapshot)
        if model is self.model or isinstance(self.model, PinnedModel):
            return False
        self.model = model
        self._make_ready(OneShot(model))
        return True

    def pin(self, saved: SavedModel | None) -> bool:
        """Let a saved model take the place of the run's, or give it back; whether that changes anything."""
        if saved is not None:
            self.model = PinnedModel(saved)
        elif isinstance(self.model, PinnedModel):
            self.model = None
            self.newer_model()
        else:
            return False
        return True

    @work(thread=True, exclusive=True, group="ready")
    def _make_ready(self, model: OneShot[LiveModel]) -> None:
        """Fold the parameters now, so that Enter need not wait for it; what is wrong is said then."""
        with suppress(FemtoError, OSError):
            model.take().sampler()

    @property
    def is_training(self) -> bool:
        place = self.actions.current
        return place is not None and place.state.status is Status.TRAINING

    def stop_writing(self) -> None:
        """Whatever is being written counts no more."""
        self.writing += 1
        self.workers.cancel_group(self, "write")

    def start_writing(self, prompt: bytes, after: list[int], asked: Asked) -> None:
        """Have the model go on after a prompt and the tokens that follow it, as far as was asked for."""
        self.stop_writing()
        left = asked.n_tokens - len(after)
        if self.model is not None and left > 0:
            tokens = partial(_written, self.model, prompt, after, Asked(left, asked.sampling))
            self._write(self.writing, OneShot(tokens), gently=self.is_training)

    @work(thread=True, exclusive=True, group="write")
    def _write(self, number: int, tokens: OneShot[_Tokens], *, gently: bool) -> None:
        worker = get_current_worker()

        def send(piece: Piece) -> None:
            self.post_message(SampleGrew(number, piece))

        stream(tokens.take(), send, lambda: worker.is_cancelled, gently=gently)

    def start_reading(self, prompt: bytes, text: bytes, asked: Asked) -> None:
        """Have the model, and the other one if there is one, read a text."""
        self.reading += 1
        if self.model is not None:
            read = partial(_read, self.reading, self.model, self.other, prompt, text, (), asked)
            self._read(self.reading, prompt, OneShot(read))

    def start_comparing(self, prompt: bytes, tokens: tuple[SampledToken, ...], asked: Asked) -> None:
        """Have both models read the tokens that are there."""
        self.reading += 1
        if self.model is not None and self.other is not None:
            read = partial(_read, self.reading, self.model, self.other, prompt, b"", tokens, asked)
            self._read(self.reading, prompt, OneShot(read))

    @work(thread=True, exclusive=True, group="read")
    def _read(self, number: int, prompt: bytes, read: OneShot[Callable[[], TextRead]]) -> None:
        try:
            with self._reading_lock:  # the other model has one sampler for all
                message = read.take()()
        except FemtoError as error:
            message = TextRead(number, prompt, (), failure=str(error))
        except OSError as error:
            message = TextRead(number, prompt, (), failure=f"the tokenizer cannot be read: {error.strerror}")
        except Exception as error:  # a bug here must not end the training that goes on beside it
            words = f"an error in femtotui itself: {type(error).__name__}: {error}"
            message = TextRead(number, prompt, (), failure=words)
        self.post_message(message)

    @work(thread=True, exclusive=True, group="open")
    def open_others(self, answer: str) -> None:
        """Open the run or checkpoint to compare with, or the two that are to be set beside each other."""
        this, _, other = answer.rpartition(AGAINST)
        try:
            open_one = partial(open_saved, self.actions.manager.runs)
            message = ModelOpened(
                open_one(other.strip()), this=open_one(this.strip()) if this.strip() else None
            )
        except FemtoError as error:
            message = ModelOpened(None, f"{error.title}: {error}")
        except Exception as error:  # as above
            message = ModelOpened(None, f"an error in femtotui itself: {type(error).__name__}: {error}")
        self.post_message(message)


def _written(
    model: LiveModel | PinnedModel, prompt: bytes, after: list[int], asked: Asked
) -> Iterator[SampledToken]:
    sampler = model.sampler()
    require_writable(sampler, prompt)
    return sampler.go_on(sampler.encode(prompt), after, asked.n_tokens, asked.sampling)


def _read(
    number: int,
    model: LiveModel | PinnedModel,
    other: SavedModel | None,
    prompt: bytes,
    text: bytes,
    tokens: tuple[SampledToken, ...],
    asked: Asked,
) -> TextRead:
    sampler = model.sampler()
    tokens = tokens or read_text(sampler, prompt, text, asked.sampling)
    if other is None:
        return TextRead(number, prompt, tokens)
    both = compare(sampler, other, prompt, tokens, asked.sampling)
    return TextRead(number, prompt, both.tokens, both.differences, both.others)
