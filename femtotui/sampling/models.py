"""The models that screens sample from, and the reader that has them work in background threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from textual.message import Message

from femtotui.core.config import RunConfig
from femtotui.core.errors import ConfigError, FemtoError, TokenizerError
from femtotui.core.files import open_own
from femtotui.core.run_folder.info import RunFile
from femtotui.core.run_folder.saved_model import SavedModel, open_saved
from femtotui.core.sampling.sampler import SampledToken, Sampler, Sampling
from femtotui.core.tokenizers import characters_lacking, lacking_words, load_tokenizer, without

from ..runs.actions import RunActions
from ..runs.state import Status
from ..text.safe import with_hint
from ..tokens.scoring import ScoredText
from ..trainer.protocol import SnapshotArrived
from .fields import VERSUS, SampleRequest
from .stream import BackgroundTasks, Cancelled, Piece, Post, failure_words, stream

LEAVE_OUT_HINT = "ctrl+l leaves them out"


class LiveModel:
    """The parameters of a run at a step, folded into a sampler when it is first needed."""

    def __init__(self, run: Path, config: RunConfig, snapshot: SnapshotArrived) -> None:
        self.run, self.config, self.snapshot = run, config, snapshot
        self._lock = threading.Lock()
        self._sampler: Sampler | None = None

    @property
    def name(self) -> str:
        return f"#{self.config.preset} {self.config.title}, step {self.snapshot.step:,}"

    @property
    def sampler(self) -> Sampler:
        """The model's sampler, from any thread; each thread works on a sibling of it.

        Raises: FemtoError; OSError if the run's tokenizer cannot be read.
        """
        with self._lock:
            if self._sampler is None:
                with open(self.run / RunFile.TOKENIZER, encoding="utf-8", opener=open_own) as file:
                    tokenizer = load_tokenizer(file.read())
                recipe, parameters_P = self.config.recipe, self.snapshot.parameters_P
                self._sampler = Sampler(self.config.model, recipe, parameters_P, tokenizer)
            return self._sampler


class NewestModel:
    """The newest snapshot as a model, folded once for all screens."""

    def __init__(self) -> None:
        self._model: LiveModel | None = None

    def of(self, run: Path, config: RunConfig, snapshot: SnapshotArrived) -> LiveModel:
        """The same model again as long as the snapshot is the same."""
        if self._model is None or self._model.snapshot is not snapshot:
            self._model = LiveModel(run, config, snapshot)
        return self._model


# -- work ----------------------------------------------------------------------------------------------


def require_writable(sampler: Sampler, text: bytes) -> None:
    """Raises: TokenizerError, naming the characters that the tokenizer lacks, and the key that drops them."""
    lacking = characters_lacking(sampler.tokenizer, text)
    if lacking:
        raise TokenizerError(f"{lacking_words(lacking)}: {LEAVE_OUT_HINT}")


def continuation(
    model: LiveModel | SavedModel, prompt: bytes, after: list[int], request: SampleRequest
) -> Iterator[SampledToken]:
    """Tokens that continue a prompt and the tokens `after` it. Raises: as `require_writable`."""
    sampler = model.sampler.sibling()
    require_writable(sampler, prompt)
    return sampler.continue_from(sampler.encode(prompt), after, request.n_tokens, request.sampling)


def score_text(
    model: LiveModel | SavedModel,
    other: SavedModel | None,
    prompt: bytes,
    text: bytes | Sequence[SampledToken],
    sampling: Sampling,
) -> ScoredText:
    """Score a text, or given tokens, after a prompt under one model or two.

    Raises: as `require_writable`; ConfigError if the two models split text into different tokens.
    """
    sampler = model.sampler.sibling()
    if isinstance(text, bytes):
        require_writable(sampler, prompt + text)
        tokens = tuple(sampler.score(prompt, text, sampling))
    else:
        tokens = tuple(sampler.score_ids(sampler.encode(prompt), [token.id for token in text], sampling))
    if other is None:
        return ScoredText(prompt, tokens)
    if sampler.tokenizer.to_json() != other.sampler.tokenizer.to_json():
        raise ConfigError(f"{other.name} splits text into other tokens: the two cannot be compared")
    ids = [token.id for token in tokens]
    others = other.sampler.sibling().score_ids(sampler.encode(prompt), ids, sampling)
    return ScoredText(prompt, tokens, tuple(others))


# -- the reader ----------------------------------------------------------------------------------------


@dataclass
class SampleGrew(Message):
    """Piece of sample `number`, posted from a background thread."""

    number: int
    piece: Piece


@dataclass
class TextRead(Message):
    """Text `number` has been scored, or `failure` says why not; posted from a background thread."""

    number: int
    text: ScoredText
    failure: str = ""


@dataclass
class ModelOpened(Message):
    """A model to compare with, None for no comparison; posted from a background thread.

    `this` is the saved model to compare it with, None for the current run; `failure` says what is wrong.
    """

    model: SavedModel | None
    failure: str = ""
    this: SavedModel | None = None


class ModelReader:
    """The model of the sampling screen, one to compare it with, and their work in background threads.

    Results are posted as SampleGrew, TextRead and ModelOpened; of the first two only the message whose number
    is `sample_number` or `text_number` is current. A saved model in place of the run's own stays the same
    while the training continues.
    """

    def __init__(self, actions: RunActions, newest: NewestModel, post: Post) -> None:
        self._actions, self._newest = actions, newest
        self._tasks = BackgroundTasks(post)
        self._scoring_lock = threading.Lock()
        self.model: LiveModel | SavedModel | None = None
        self.other: SavedModel | None = None
        self.sample_number = self.text_number = 0

    # -- models ----------------------------------------------------------------------------------------

    @property
    def description(self) -> str:
        """The models and the state of the run, on one line."""
        run = self._actions.current
        model = "no parameters yet" if self.model is None else f"sampling from {self.model.name}"
        other = "" if self.other is None else f" · beside {self.other.name}"
        return model + other + (f" · {run.state.status.value} at step {run.state.step:,}" if run else "")

    def update(self) -> bool:
        """Use the run's newest snapshot; whether that is another model than before."""
        run = self._actions.current
        if run is None or run.snapshot is None or run.state.started is None:
            return False
        if isinstance(self.model, SavedModel):
            return False
        model = self._newest.of(Path(run.state.started.run), run.state.config, run.snapshot)
        if model is self.model:
            return False
        self.model = model
        self._tasks.start("fold", partial(_fold, model))
        return True

    def compare_with(self, other: SavedModel | None, this: SavedModel | None = None) -> bool:
        """Compare `this`, or the run's own model, with another, or none; whether the first is a new one."""
        before, self.other = self.model, other
        self.text_number += 1  # what is being scored is for the models before
        if this is not None or isinstance(self.model, SavedModel):
            self.model = this
            self.update()
        return self.model is not before

    def open_models(self, answer: str) -> None:
        """Open the run or checkpoint to compare with, or two of them as `A vs B`."""
        self._tasks.start("open", partial(_open, self._actions.manager.runs, answer))

    # -- work ------------------------------------------------------------------------------------------

    def write(self, prompt: bytes, after: list[int], request: SampleRequest) -> None:
        """Continue a prompt and the tokens after it, up to the length requested."""
        self.stop_writing()
        left = request.n_tokens - len(after)
        if self.model is not None and left > 0:
            self.text_number += 1  # what is being scored is not on the screen any more
            tokens = partial(continuation, self.model, prompt, after, replace(request, n_tokens=left))
            number, gently = self.sample_number, self._actions.status is Status.TRAINING

            def task(post: Post, cancelled: Cancelled) -> None:
                stream(tokens, lambda piece: post(SampleGrew(number, piece)), cancelled, gently=gently)

            self._tasks.start("write", task)

    def stop_writing(self) -> None:
        """Cancel the current sample."""
        self.sample_number += 1
        self._tasks.cancel("write")

    def read(self, prompt: bytes, text: bytes | Sequence[SampledToken], sampling: Sampling) -> None:
        """Score a text, or tokens that are there, under the model and the one to compare with."""
        self.text_number += 1
        if self.model is not None:
            score = partial(score_text, self.model, self.other, prompt, text, sampling)
            number, lock = self.text_number, self._scoring_lock

            def task(post: Post, cancelled: Cancelled) -> None:
                with lock:  # one text at a time, however fast somebody types
                    if cancelled():
                        return
                    try:
                        post(TextRead(number, score()))
                    except Exception as error:
                        post(TextRead(number, ScoredText(prompt), failure_words(error)))

            self._tasks.start("read", task)

    def writable(self, text: str) -> str:
        """A text without the characters that the model's tokenizer lacks."""
        if self.model is None:
            return text
        data = text.encode()
        return without(data, characters_lacking(self.model.sampler.tokenizer, data)).decode()

    def close(self) -> None:
        self._tasks.close()


def _fold(model: LiveModel, post: Post, cancelled: Cancelled) -> None:
    """Fold the parameters ahead of the first sample, which reports what is wrong with them."""
    del post
    with suppress(Exception):
        if not cancelled():
            _ = model.sampler


def _open(runs: Path, answer: str, post: Post, cancelled: Cancelled) -> None:
    del cancelled
    this, _, other = (part.strip() for part in answer.rpartition(VERSUS))
    try:
        post(ModelOpened(open_saved(runs, other), this=open_saved(runs, this) if this else None))
    except FemtoError as error:
        post(ModelOpened(None, f"{error.title}: {with_hint(error)}"))
    except Exception as error:
        post(ModelOpened(None, failure_words(error)))
