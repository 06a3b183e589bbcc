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
    """A model that reads texts: one that is there, or a checkpoint file that is opened when it is needed.

    `failure` is the prompt of a text that it could not read, and why; other texts are tried again.
    """

    title: str
    model: LiveModel | SavedModel | None = None
    path: Path | None = None
    step: int = 0
    failure: tuple[bytes, str] | None = None

    def opened(self) -> LiveModel | SavedModel:
        """Raises: FemtoError, OSError."""
        if self.model is None and self.path is not None:
            self.model = open_saved(self.path.parent, str(self.path))
        assert self.model is not None
        return self.model


@dataclass
class InsideRead(Message):
    """Windows were read, or a source has a failure; posted from a background thread."""

    windows: list[tuple[InsideSource, TextWindow]]


class InsideReader:
    """What the Sample screen's models, or a checkpoint of the run, see in the text that is shown."""

    def __init__(self, models: ModelReader, post: Post) -> None:
        self._models = models
        self._tasks = BackgroundTasks(post)
        self._is_reading = False
        self._own: dict[str, InsideSource] = {}
        self._frames: dict[tuple[Path, int], InsideSource] = {}
        self._frame: InsideSource | None = None
        self._windows: list[tuple[InsideSource, TextWindow]] = []
        self._last: dict[int, Seen] = {}

    # -- models ----------------------------------------------------------------------------------------

    @property
    def _sources(self) -> list[InsideSource]:
        """This model, or the checkpoint in its place, and the one to compare with."""
        this = self._frame or self._source("this", self._models.model)
        other = self._source("other", self._models.other)
        return [source for source in (this, other) if source is not None]

    def _source(self, role: str, model: LiveModel | SavedModel | None) -> InsideSource | None:
        if model is None:
            return None
        known = self._own.get(role)
        if known is None or known.model is not model:
            step = model.snapshot.step if isinstance(model, LiveModel) else model.step
            title = f"step {step:,} · #{model.config.preset} {model.config.title}"
            self._forget(known)
            known = self._own[role] = InsideSource(title, model, step=step)
        return known

    def _forget(self, source: InsideSource | None) -> None:
        self._windows = [kept for kept in self._windows if kept[0] is not source]

    def move(self, by: int) -> str:
        """Go to an earlier (-1) or later checkpoint of the run, or back to its model; says what is wrong."""
        newest = self._source("this", self._models.model)
        if newest is None:
            return "there is no model yet"
        if by > 0 and self._frame is None:
            return "this is the newest model"
        try:
            frames = self._kept_frames(newest)
        except FemtoError as error:
            return f"{error.title}: {with_hint(error)}"
        here = self._frame.step if self._frame is not None else newest.step
        if by < 0:
            found = max((f for f in frames if f.step < here), key=lambda f: f.step, default=None)
            if found is None:
                return "no earlier checkpoint is kept: a run keeps the last few, and its best"
        else:
            found = min((f for f in frames if f.step > here), key=lambda f: f.step, default=None)
        self._show_frame(found)
        return ""

    def _kept_frames(self, newest: InsideSource) -> list[InsideSource]:
        """The run's checkpoints before the newest model. Raises: RunError."""
        model = newest.model
        run = (
            model.run
            if isinstance(model, LiveModel)
            else model.path.absolute().parent.parent
            if model
            else None
        )
        paths = RunFolder.open(run).checkpoints() if run is not None else {}
        found = {}
        for step, path in sorted(paths.items()):
            if step < newest.step:
                try:
                    key = path, path.stat().st_mtime_ns
                except OSError:  # replaced meanwhile
                    continue
                found[key] = self._frames.get(key) or InsideSource("", path=path, step=step)
        for key in self._frames.keys() - found.keys():
            self._forget(self._frames[key])
        self._frames = found
        for number, frame in enumerate(found.values(), start=1):
            frame.title = f"step {frame.step:,} · checkpoint {number} of {len(found)} kept"
        return list(found.values())

    def _show_frame(self, frame: InsideSource | None) -> None:
        if self._frame is not None:
            self._frame.model = None  # its windows stay
        if frame is not None:
            frame.failure = None
        self._frame = frame

    def show_newest(self) -> None:
        """Leave the checkpoints."""
        self._show_frame(None)

    # -- reading ---------------------------------------------------------------------------------------

    def see(self, text: ScoredText, at: int) -> list[Seen]:
        """The prediction of a token by each model; what is not known yet is read, and InsideRead is posted.

        Until then the last prediction of the same text stays.
        """
        if at >= len(text.tokens):
            return [Seen(source.title, None, "no token here to look into") for source in self._sources] or [
                Seen()
            ]
        missing, found = [], []
        for number, source in enumerate(self._sources):
            window = self._window(source, text, at)
            if window is not None:
                seen = Seen(source.title, TokenSight(window, at))
            elif source.failure is not None and source.failure[0] == text.prompt:
                seen = Seen(source.title, None, source.failure[1])
            else:
                missing.append(source)
                seen = self._meanwhile(number, source, text)
            self._last[number] = seen
            found.append(seen)
        if missing and not self._is_reading:
            self._is_reading = True
            self._tasks.start("inside", partial(_read, missing, text, at))
        return found or [Seen("", None, "no model yet to look into")]

    def _window(self, source: InsideSource, text: ScoredText, at: int) -> TextWindow | None:
        for number, (owner, window) in enumerate(self._windows):
            if owner is source and window.covers(text.prompt, text.tokens, at):
                self._windows.append(self._windows.pop(number))  # the oldest are dropped first
                return window
        return None

    def _meanwhile(self, number: int, source: InsideSource, text: ScoredText) -> Seen:
        words, last = f"reading step {source.step:,}…", self._last.get(number)
        if last and last.sight and last.sight.window.covers(text.prompt, text.tokens, last.sight.at):
            return last._replace(words=words)
        return Seen(source.title, None, words)

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
        step, (_, words) = self._frame.step, self._frame.failure
        self.show_newest()
        return f"step {step:,} cannot be shown: {words}"

    def close(self) -> None:
        self._tasks.close()


def _read(sources: list[InsideSource], text: ScoredText, at: int, post: Post, cancelled: Cancelled) -> None:
    windows = []
    for source in sources:
        if cancelled():
            return
        try:
            sampler = source.opened().sampler
            windows.append((source, read_window(sampler, text.prompt, tuple(text.tokens), at)))
        except Exception as error:
            words = with_hint(error) if isinstance(error, FemtoError) else failure_words(error)
            source.failure = text.prompt, words
    post(InsideRead(windows))
