"""The sample pane of the Train screen: a prompt, and the model's continuation, token by token."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from femtotui.core.sampling.sampler import JOURNAL_SAMPLING, SampledToken

from ..runs.state import RunState, Status
from ..text.safe import unwrapped
from ..tokens.alternatives import NextToken
from ..tokens.token_view import TokenView
from ..trainer.protocol import SnapshotArrived
from .fields import Prompt
from .models import NewestModel, SampleGrew
from .stream import BackgroundTasks, Cancelled, Post, SampleTask, draw, prompt_bytes, stream
from .timelapse import SampleSetup, Timelapse


@dataclass
class SampleAsked(Message):
    """The user pressed Enter in the prompt."""

    prompt: str


class SamplePane(Horizontal):
    """Draws samples in a thread, one at a time; a new one replaces the one being drawn.

    A sample that the user asked for streams, and so does a run's first; an automatic one appears when it is
    complete, so that the pane stays calm.
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
        self._tasks = BackgroundTasks(self.post_message)
        self.timelapse = Timelapse()
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

    def on_unmount(self) -> None:
        self._tasks.close()

    # -- asking ----------------------------------------------------------------------------------------

    @property
    def is_read(self) -> bool:
        """Whether the user's cursor is on the tokens, which must not change under it."""
        return self.query_one(TokenView).has_focus

    @property
    def is_drawing(self) -> bool:
        """Whether a sample is being drawn."""
        return self._drawing

    @property
    def can_show(self) -> bool:
        """Whether the pane is visible."""
        return self.display and self.size.height > 0

    @property
    def prompt(self) -> str:
        """The prompt as typed."""
        return self.query_one(Prompt).value

    @on(Input.Submitted, "#prompt")
    def _prompt_entered(self, event: Input.Submitted) -> None:
        event.stop()
        self._seed += 1
        self.post_message(SampleAsked(event.value))

    def sample(self, view: RunState, snapshot: SnapshotArrived, *, asked: bool) -> None:
        """Draw a sample from a snapshot of a run; `asked` by the user, or automatic."""
        if view.started is None:
            return
        self._number += 1
        model = self.newest.of(Path(view.started.run), view.config, snapshot)
        task = self._sample_task = SampleTask(model, prompt_bytes(self.prompt), self._seed)
        self._streams = asked or self._empty
        self._drawing = True
        self._collected = []
        if self._streams:
            self.query_one(TokenView).show(task.prompt)
        self.query_one(TokenView).follow = asked
        number, gently = self._number, view.status is Status.TRAINING

        def work(post: Post, cancelled: Cancelled) -> None:
            tokens = partial(draw, task)
            stream(tokens, lambda piece: post(SampleGrew(number, piece)), cancelled, gently=gently)

        self._tasks.start("sample", work)

    def clear(self) -> None:
        """Discard the sample: another run is on the screen."""
        self._number += 1
        self._drawing = False
        self._empty = True
        self._tasks.close()
        self.query_one(TokenView).clear()
        self.query_one(NextToken).clear()
        self.query_one("#sample").border_subtitle = ""
        self._show_problem("")

    # -- showing ---------------------------------------------------------------------------------------

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
        """Scroll to the start of the sample; the view follows its end while it grows."""
        tokens = self.query_one(TokenView)
        if tokens.cursor is None:
            tokens.scroll_home(animate=False, immediate=True, x_axis=False)

    def _finish(self, task: SampleTask, failure: str) -> None:
        self._drawing = False
        self._empty = not self._collected
        self._show_beginning()
        self._show_problem(failure)
        if self._collected and not failure:
            setup = SampleSetup(str(task.model.run), task.prompt, task.sampling)
            self.timelapse.record(setup, task.model.snapshot.step, self._collected)
        at = f"step {task.model.snapshot.step:,} · top-p {JOURNAL_SAMPLING.top_p:g}"
        self.query_one("#sample").border_subtitle = Content(at)

    def _show_problem(self, words: str) -> None:
        line = self.query_one("#sample-trouble", Static)
        line.display = bool(words)
        line.update(Content(unwrapped(words)))

    def on_token_view_highlighted(self, message: TokenView.Highlighted) -> None:
        message.stop()
        if self._collected:
            index = message.index or 0
            self.query_one(NextToken).show(self._collected[index if index < len(self._collected) else 0])
