"""Inside, beside the Sample screen: models read the text on the screen in a background thread.

Of what they read, windows are kept, at most `MAX_KEPT_BYTES` of them (and always the newest two), so that a
move of the cursor only reads arrays. Through time, the run's kept checkpoints take the model's place, one at
a time: of all but the one that is shown, only the windows stay.
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
    """A model that reads texts: one that is there, or a checkpoint file, opened when it is needed.

    `failure` is the prompt of a text that it could not read, and why; other texts are tried again.
    """

    step: int
    title: str = ""
    model: LiveModel | SavedModel | None = None
    path: Path = Path()
    failure: tuple[bytes, str] | None = None

    def opened(self) -> LiveModel | SavedModel:
        """Raises: FemtoError, OSError."""
        self.model = self.model or open_saved(self.path.parent, str(self.path))
        return self.model


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
        if newest is None:
            return "there is no model yet"
        try:
            self._list_frames(newest)
        except FemtoError as error:
            return f"{error.title}: {with_hint(error)}"
        here = self._frame.step if self._frame is not None else newest.step
        passed = [frame for frame in self._frames.values() if (frame.step - here) * by > 0]
        if by < 0 and not passed:
            return "no earlier checkpoint is kept: a run keeps the last few, and its best"
        self._show(min(passed, key=lambda frame: abs(frame.step - here), default=None))
        return ""

    def _list_frames(self, newest: InsideSource) -> None:
        """Find the run's checkpoints before the newest model. Raises: RunError."""
        model = newest.opened()
        run = model.run if isinstance(model, LiveModel) else model.path.absolute().parent.parent
        kept = {step: path for step, path in RunFolder.open(run).checkpoints().items() if step < newest.step}
        self._frames = {kept[step]: self._frames.get(kept[step], InsideSource(step)) for step in sorted(kept)}
        for number, (path, frame) in enumerate(self._frames.items(), start=1):
            frame.path, frame.title = path, f"step {frame.step:,} · checkpoint {number} of {len(kept)} kept"

    def _show(self, frame: InsideSource | None) -> None:
        if self._frame is not None:
            self._frame.model = None  # its windows stay
        if frame is not None:
            frame.failure = None
        self._frame = frame

    def show_newest(self) -> None:
        """Leave the checkpoints."""
        self._show(None)

    # -- reading ---------------------------------------------------------------------------------------

    def see(self, text: ScoredText, at: int) -> list[Seen]:
        """The prediction of a token by each model; what is not known yet is read, and InsideRead is posted.

        Until then the last prediction of the same text stays.
        """
        sources, missing, found = self._sources(), [], []
        for number, source in enumerate(sources):
            window = self._window(source, text, at)
            if at >= len(text.tokens):
                seen = Seen(source.title, words="no token here to look into")
            elif window is not None:
                seen = Seen(source.title, TokenSight(window, at))
            elif source.failure is not None and source.failure[0] == text.prompt:
                seen = Seen(source.title, words=source.failure[1])
            else:
                missing.append(source)
                seen = self._meanwhile(number, source, text)
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

    def _meanwhile(self, number: int, source: InsideSource, text: ScoredText) -> Seen:
        words, last = f"reading step {source.step:,}…", self._last.get(number)
        if last and last.sight and last.sight.window.covers(text.prompt, text.tokens, last.sight.at):
            return last._replace(words=words)
        return Seen(source.title, words=words)

    def keep(self, read: InsideRead) -> str:
        """Keep what was read; a checkpoint that could not be is left for the newest model, with words."""
        self._is_reading = False
        self._windows += read.windows
        while len(self._windows) > 2 and sum(kept.n_bytes for _, kept in self._windows) > MAX_KEPT_BYTES:
            del self._windows[0]
        for frame in self._frames.values():
            if frame is not self._frame:
                frame.model = None
        if self._frame is None or self._frame.failure is None:
            return ""
        words = f"step {self._frame.step:,} cannot be shown: {self._frame.failure[1]}"
        self.show_newest()
        return words

    def close(self) -> None:
        self._tasks.close()


def _read(sources: list[InsideSource], text: ScoredText, at: int, post: Post, cancelled: Cancelled) -> None:
    windows = []
    for source in sources:
        if not cancelled():
            try:
                sampler = source.opened().sampler
                windows.append((source, read_window(sampler, text.prompt, tuple(text.tokens), at)))
            except Exception as error:
                words = with_hint(error) if isinstance(error, FemtoError) else failure_words(error)
                source.failure = text.prompt, words
    post(InsideRead(windows))
