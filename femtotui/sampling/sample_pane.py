"""The sample pane of the Train screen: a prompt, and the model's continuation, token by token."""

from __future__ import annotations

from dataclasses import replace

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from femtotui.core.sampling.sampler import JOURNAL_SAMPLING, SampledToken

from ..runs.actions import RunActions
from ..text.safe import unwrapped
from ..tokens.alternatives import NextToken
from ..tokens.scoring import ScoredText
from ..tokens.token_view import TokenView
from .fields import Prompt, SampleRequest
from .models import LEAVE_OUT_HINT, LiveModel, ModelReader, NewestModel, SampleGrew
from .stream import SAMPLE_TOKENS, prompt_bytes
from .timelapse import SampleSetup, Timelapse


class SampleAsked(Message):
    """The user pressed Enter in the prompt."""


class SamplePane(Horizontal):
    """Draws samples in a thread, one at a time; a new one replaces the one being drawn.

    A sample that the user asked for streams, and so does a run's first; an automatic one appears when it is
    complete, so that the pane stays calm.
    """

    def __init__(self, actions: RunActions) -> None:
        super().__init__(id="sample-pane")
        self._seed = 0
        self._streams = False
        self._is_empty = True
        self._tokens: list[SampledToken] = []
        self._frame: tuple[SampleSetup, int] | None = None
        self.is_drawing = False
        self.timelapse = Timelapse()
        self.newest = NewestModel()
        self._reader = ModelReader(actions, self.newest, self.post_message)

    def compose(self) -> ComposeResult:
        with Vertical(id="sample") as box:
            box.border_title = "sample"
            yield TokenView(id="tokens")
            with Horizontal(id="prompt-row"):
                yield Static("prompt", id="prompt-label")
                yield Prompt()
            yield Static(id="sample-trouble")
        yield NextToken(id="next-token")

    def on_unmount(self) -> None:
        self._reader.close()

    # -- asking ----------------------------------------------------------------------------------------

    @property
    def _view(self) -> TokenView:
        return self.query_one(TokenView)

    @property
    def is_read(self) -> bool:
        """Whether the user's cursor is on the tokens, which must not change under it."""
        return self._view.has_focus

    @property
    def shown(self) -> tuple[bytes, list[SampledToken], int] | None:
        """The prompt and the tokens of the sample, and the number of the one under the cursor, if any."""
        view = self._view
        return (view.prompt, list(view.tokens), view.cursor or 0) if view.tokens else None

    @property
    def can_show(self) -> bool:
        return self.display and self.size.height > 0

    @property
    def prompt(self) -> str:
        return self.query_one(Prompt).value

    @on(Input.Submitted, "#prompt")
    def _prompt_entered(self, event: Input.Submitted) -> None:
        event.stop()
        self._seed += 1
        self.post_message(SampleAsked())

    def sample(self, *, asked: bool) -> None:
        """Draw a sample from the newest snapshot of the current run; `asked` by the user, or automatic."""
        self._reader.update()
        model = self._reader.model
        if not isinstance(model, LiveModel):
            return
        prompt, sampling = prompt_bytes(self.prompt), replace(JOURNAL_SAMPLING, seed=self._seed)
        self._frame = SampleSetup(str(model.run), prompt, sampling), model.snapshot.step
        self._streams = asked or self._is_empty
        self.is_drawing = True
        self._tokens = []
        if self._streams:
            self._view.show(prompt)
        self._view.follow = asked
        self._reader.write(prompt, [], SampleRequest(SAMPLE_TOKENS, sampling))

    def clear(self) -> None:
        """Discard the sample: another run is on the screen."""
        self._reader.stop_writing()
        self._reader.model = None
        self.is_drawing = False
        self._is_empty = True
        self._view.show(b"")
        self.query_one(NextToken).show(None)
        self.query_one("#sample").border_subtitle = ""
        self._show_problem("")

    # -- showing ---------------------------------------------------------------------------------------

    def on_sample_grew(self, message: SampleGrew) -> None:
        message.stop()
        if message.number != self._reader.sample_number or self._frame is None:
            return
        setup, step = self._frame
        piece, is_first = message.piece, not self._tokens
        self._tokens.extend(piece.tokens)
        if self._streams:
            self._view.append(piece.tokens)
        elif piece.done and self._tokens:
            self._view.show(setup.prompt, self._tokens)
        if self._tokens and ((is_first and self._streams) or piece.done):
            self._show_next(0)
        if piece.done:
            self.is_drawing = False
            self._is_empty = not self._tokens
            self._show_beginning()
            self._show_problem(piece.failure.removesuffix(f": {LEAVE_OUT_HINT}"))  # not a key of this screen
            if self._tokens and not piece.failure:
                self.timelapse.record(setup, step, self._tokens)
            at = f"step {step:,} · the journal's sampler"
            self.query_one("#sample").border_subtitle = Content(at)

    def on_resize(self) -> None:
        if not self.is_drawing:
            self.call_after_refresh(self._show_beginning)

    def _show_beginning(self) -> None:
        """Scroll to the start of the sample; the view follows its end while it grows."""
        if self._view.cursor is None:
            self._view.scroll_home(animate=False, immediate=True, x_axis=False)

    def _show_problem(self, words: str) -> None:
        line = self.query_one("#sample-trouble", Static)
        line.display = bool(words)
        line.update(Content(unwrapped(words)))

    def on_token_view_highlighted(self, message: TokenView.Highlighted) -> None:
        message.stop()
        if self._tokens:
            index = message.index or 0
            self._show_next(index if index < len(self._tokens) else 0)

    def _show_next(self, index: int) -> None:
        prompt = self._frame[0].prompt if self._frame is not None else b""
        before = ScoredText(prompt, self._tokens).before(index)
        self.query_one(NextToken).show(self._tokens[index], before=before)
