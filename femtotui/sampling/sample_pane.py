"""The sample pane: a prompt to type, and what the model makes of it, token by token."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from femtotui.core.sampling.sampler import JOURNAL_SAMPLING, SampledToken

from ..runs.state import RunState, Status
from ..text.formats import printable
from ..tokens.alternatives import NextToken
from ..tokens.token_view import TokenView
from ..trainer.client import SnapshotArrived
from .fields import Prompt
from .models import NewestModel, OneShot
from .reading import SampleGrew
from .stream import Piece, SampleTask, draw, prompt_bytes, stream
from .timelapse import Scene, Timelapse


@dataclass
class SampleAsked(Message):
    """The user pressed Enter in the prompt."""

    prompt: str


class SamplePane(Horizontal):
    """Draws samples in a thread, one at a time; a new one takes the place of the one being drawn.

    A sample that was asked for streams, and so does a run's first; another drawn for the sake of freshness
    appears when it is complete, so that the pane stays calm.
    """

    def __init__(self) -> None:
        super().__init__(id="sample-pane")
        self._number = 0
        self._seed = 0
        self._streams = False
        self._drawing = False
        self._empty = True
        self._collected: list[SampledToken] = []
        self._sample_task: SampleTask | None = None
        self.lapse = Timelapse()
        self.newest = NewestModel()

    def compose(self) -> ComposeResult:
        with Vertical(id="sample"):
            yield TokenView(id="tokens")
            with Horizontal(id="prompt-row"):
                yield Static("prompt", id="prompt-label")
                yield Prompt()
            yield Static(id="sample-trouble")
        yield NextToken(id="next-token")

    def on_mount(self) -> None:
        self.query_one("#sample").border_title = "sample"
        self.query_one("#sample-trouble").display = False

    # -- asking ----------------------------------------------------------------------------------------

    @property
    def is_read(self) -> bool:
        """Whether somebody walks through the tokens, which must not change under the cursor then."""
        return self.query_one(TokenView).has_focus

    @property
    def is_drawing(self) -> bool:
        """Whether a sample is under way."""
        return self._drawing

    @property
    def can_show(self) -> bool:
        """Whether there is a place on the screen for a sample."""
        return self.display and self.size.height > 0

    @property
    def prompt(self) -> str:
        """What is typed."""
        return self.query_one(Prompt).value

    @on(Input.Submitted, "#prompt")
    def _prompt_entered(self, event: Input.Submitted) -> None:
        event.stop()
        self._seed += 1
        self.post_message(SampleAsked(event.value))

    def sample(self, view: RunState, snapshot: SnapshotArrived, *, asked: bool) -> None:
        """Draw a sample from a snapshot of a run; `asked` by a person, or for freshness."""
        if view.started is None:
            return
        prompt = prompt_bytes(self.query_one(Prompt).value)
        self._number += 1
        model = self.newest.of(Path(view.started.run), view.config, snapshot)
        self._sample_task = SampleTask(model, prompt, self._seed)
        self._streams = asked or self._empty
        self._drawing = True
        self._collected = []
        if self._streams:
            self.query_one(TokenView).show(prompt)
        self.query_one(TokenView).follow = asked
        task = OneShot(self._sample_task)
        self._draw(self._number, task, gently=view.status is Status.TRAINING)

    def clear(self) -> None:
        """Forget the sample: another run is on screen."""
        self._number += 1
        self._drawing = False
        self._empty = True
        self.workers.cancel_node(self)
        self.query_one(TokenView).clear()
        self.query_one(NextToken).clear()
        self.query_one("#sample").border_subtitle = ""
        self._show_trouble("")

    # -- drawing ---------------------------------------------------------------------------------------

    @work(thread=True, exclusive=True, group="sample")
    def _draw(self, number: int, task: OneShot[SampleTask], *, gently: bool) -> None:
        worker = get_current_worker()

        def send(piece: Piece) -> None:
            self.post_message(SampleGrew(number, piece))

        stream(partial(draw, task.take()), send, lambda: worker.is_cancelled, gently=gently)

    def on_sample_grew(self, message: SampleGrew) -> None:
        message.stop()
        if message.number != self._number or self._sample_task is None:
            return
        first = not self._collected
        self._collected.extend(message.piece.tokens)
        tokens = self.query_one(TokenView)
        if self._streams:
            tokens.append(message.piece.tokens)
        elif message.piece.done and self._collected:
            tokens.show(self._sample_task.prompt, self._collected)
        if self._collected and ((first and self._streams) or message.piece.done):
            self.query_one(NextToken).show(self._collected[0])
        if message.piece.done:
            self._finish(self._sample_task, message.piece.failure)

    def on_resize(self) -> None:
        if not self._drawing:
            self.call_after_refresh(self._show_beginning)

    def _show_beginning(self) -> None:
        """A sample is read from its start; TokenView follows the end while it grows."""
        tokens = self.query_one(TokenView)
        if tokens.cursor is None:
            tokens.scroll_home(animate=False, immediate=True, x_axis=False)

    def _finish(self, task: SampleTask, failure: str) -> None:
        self._drawing = False
        self._empty = not self._collected
        self._show_beginning()
        self._show_trouble(failure)
        if self._collected and not failure:
            scene = Scene(str(task.model.run), task.prompt, task.sampling)
            self.lapse.record(scene, task.model.snapshot.step, self._collected)
        at = f"step {task.model.snapshot.step:,} · top-p {JOURNAL_SAMPLING.top_p:g}"
        self.query_one("#sample").border_subtitle = Content(at)

    def _show_trouble(self, words: str) -> None:
        trouble = self.query_one("#sample-trouble", Static)
        trouble.display = bool(words)
        trouble.update(Content(printable(words)))

    def on_token_view_highlighted(self, message: TokenView.Highlighted) -> None:
        message.stop()
        if message.index is not None and message.index < len(self._collected):
            self.query_one(NextToken).show(self._collected[message.index])
        elif self._collected:
            self.query_one(NextToken).show(self._collected[0])
