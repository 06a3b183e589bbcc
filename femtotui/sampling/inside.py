"""Inside, beside the Sample screen: models read the text on the screen in a background thread.

Of what they read, windows are kept, at most `MAX_KEPT_BYTES` of them (and always the newest two), so that a
move of the cursor only reads arrays. Through time, the run's kept checkpoints take the model's place, one at
a time; of them, nothing but windows is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from textual.message import Message

from femtotui.core.errors import FemtoError
from femtotui.core.run_folder.folder import RunFolder
from femtotui.core.run_folder.saved_model import SavedModel, open_saved

from ..inspection.inside_view import Seen
from ..inspection.text_window import TextWindow, TokenSight, read_window
from ..text.safe import with_hint
from ..tokens.scoring import ScoredText
from .models import LiveModel, ModelReader
from .stream import BackgroundTasks, Cancelled, Post, failure_words

MAX_KEPT_BYTES = 64 * 1024 * 1024


@dataclass(eq=False)
class InsideSource:
    """What reads texts: a model, or without one a checkpoint file, opened for each reading.

    `failure` is the prompt of a text that it could not read, and why; other texts are tried again.
    """

    step: int
    title: str
    model: LiveModel | SavedModel | None = None
    path: Path = Path()
    failure: tuple[bytes, str] = b"", ""


@dataclass
class InsideRead(Message):
    """Sources have read a text, or have a failure; posted from a background thread."""

    windows: list[tuple[InsideSource, TextWindow]]


class InsideReader:
    """What the Sample screen's models, or a checkpoint in place of the first, see in the text there."""

    def __init__(self, models: ModelReader, post: Post) -> None:
        self._models = models
        self._tasks = BackgroundTasks(post)
        self._is_reading = False
        self._own: list[InsideSource | None] = [None, None]
        self._frames: dict[Path, InsideSource] = {}
        self._frame: InsideSource | None = None
        self._windows: list[tuple[InsideSource, TextWindow]] = []
        self._last: dict[int, Seen] = {}

    # -- models ----------------------------------------------------------------------------------------

    def _sources(self) -> list[InsideSource]:
        """This model, or the checkpoint in its place, and the one to compare with."""
        for number, model in enumerate((self._models.model, self._models.other)):
            known = self._own[number]
            if model is None:
                self._own[number] = None
            elif known is None or known.model is not model:
                step = model.snapshot.step if isinstance(model, LiveModel) else model.step
                title = f"step {step:,} · #{model.config.preset} {model.config.title}"
                self._own[number] = InsideSource(step, title, model)
        self._windows = [kept for kept in self._windows if kept[0] in (*self._own, *self._frames.values())]
        this, other = self._own
        return [source for source in (self._frame or this, other) if source is not None]

    def move(self, by: int) -> str:
        """Go to an earlier (-1) or later checkpoint of the run, or back to its model; says what is wrong."""
        self._sources()
        newest = self._own[0]
        if newest is None or newest.model is None:
            return "there is no model yet"
        model = newest.model
        try:
            run = RunFolder.open(
                model.run if isinstance(model, LiveModel) else model.path.absolute().parents[1]
            )
            found = sorted((step, path) for step, path in run.checkpoints().items() if step < newest.step)
        except FemtoError as error:
            return f"{error.title}: {with_hint(error)}"
        known, self._frames = self._frames, {}
        for number, (step, path) in enumerate(found, start=1):
            frame = self._frames[path] = known.get(path) or InsideSource(step, "", path=path)
            frame.title = f"step {step:,} · checkpoint {number} of {len(found)} kept"
        here = self._frame.step if self._frame is not None else newest.step
        passed = [frame for frame in self._frames.values() if (frame.step - here) * by > 0]
        if by < 0 and not passed:
            return "no earlier checkpoint is kept: a run keeps the last few, and its best"
        self._frame = min(passed, key=lambda frame: abs(frame.step - here), default=None)
        if self._frame is not None:
            self._frame.failure = b"", ""
        return ""

    def show_newest(self) -> None:
        """Leave the checkpoints."""
        self._frame = None

    # -- reading ---------------------------------------------------------------------------------------

    def see(self, text: ScoredText, at: int) -> list[Seen]:
        """The prediction of a token by each model; what is not known yet is read, and InsideRead is posted.

        Until then the last prediction of the same text stays.
        """
        sources, missing, found = self._sources(), [], []
        for number, source in enumerate(sources):
            seen, last = Seen(source.title), self._last.get(number)
            prompt, failure = source.failure
            if at >= len(text.tokens):
                seen = seen._replace(words="no token here to look into")
            elif window := self._window(source, text, at):
                seen = seen._replace(sight=TokenSight(window, at))
            elif failure and prompt == text.prompt:
                seen = seen._replace(words=failure)
            else:
                missing.append(source)
                if last and last.sight and last.sight.window.covers(text.prompt, text.tokens, last.sight.at):
                    seen = last
                seen = seen._replace(words=f"reading step {source.step:,}…")
            self._last[number] = seen
            found.append(seen)
        if missing and not self._is_reading:
            self._is_reading = True
            self._tasks.start("inside", partial(_read, missing, text, at))
        return found or [Seen(words="no model yet to look into")]

    def _window(self, source: InsideSource, text: ScoredText, at: int) -> TextWindow | None:
        for kept in self._windows:
            if kept[0] is source and kept[1].covers(text.prompt, text.tokens, at):
                self._windows.remove(kept)
                self._windows.append(kept)  # the first are dropped first
                return kept[1]
        return None

    def keep(self, read: InsideRead) -> str:
        """Keep what was read; a checkpoint that could not be is left for the newest model, with words."""
        self._is_reading = False
        self._windows += read.windows
        while len(self._windows) > 2 and sum(kept.n_bytes for _, kept in self._windows) > MAX_KEPT_BYTES:
            del self._windows[0]
        frame = self._frame
        if frame is None or not frame.failure[1]:
            return ""
        self._frame = None
        return f"step {frame.step:,} cannot be shown: {frame.failure[1]}"

    def close(self) -> None:
        self._tasks.close()


def _read(sources: list[InsideSource], text: ScoredText, at: int, post: Post, cancelled: Cancelled) -> None:
    windows = []
    for source in sources:
        if not cancelled():
            try:
                model = source.model or open_saved(source.path.parent, str(source.path))
                windows.append((source, read_window(model.sampler, text.prompt, tuple(text.tokens), at)))
            except Exception as error:
                words = with_hint(error) if isinstance(error, FemtoError) else failure_words(error)
                source.failure = text.prompt, words
    post(InsideRead(windows))
