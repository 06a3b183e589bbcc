"""What the sampling screen shows: tokens from the model, of a text of one's own, or of the time-lapse."""

from __future__ import annotations

import time
from enum import Enum
from pathlib import Path

from textual import on
from textual.content import Content
from textual.widgets import Static, TextArea

from femtotui.core.sampling.sampler import Alternative, SampledToken

from ..runs.actions import RunActions
from ..text.safe import one_line
from ..tokens.alternatives import Alternatives
from ..tokens.scoring import TextScore
from ..tokens.token_view import TokenView
from ..widgets.dialogs import AskRow
from ..widgets.tick import SLOW_TICKS, TICK_SECONDS
from .branches import Branches, BranchList
from .fields import AGAINST, ModelSuggester, Prompt, SamplingFields, UserText
from .models import NewestModel
from .reading import ModelOpened, ReadingScreen, TextRead
from .stream import Pace, prompt_bytes
from .timelapse import Timelapse, kept_film

MOST_ALTERNATIVES = 60

FIGURES_SECONDS = SLOW_TICKS * TICK_SECONDS
"""How often figures at the edge of the screen are updated while tokens come."""

LEAST_SHOWN = 0.0005
"""Alternatives below this would all read 0.0%; the first ten are shown all the same."""


class Mode(Enum):
    """What the tokens on the screen are. The value is what the frame says."""

    WRITE = "sample"
    READ = "your text"
    LAPSE = "time-lapse"


class ShowingScreen(ReadingScreen):
    """Has a prompt and tokens on the screen, and the alternatives at the cursor beside them."""

    def __init__(self, actions: RunActions, newest: NewestModel, lapse: Timelapse, pace: Pace) -> None:
        super().__init__(actions, newest)
        self._lapse, self._pace = lapse, pace
        self._mode = Mode.WRITE
        self._branches = Branches()
        self._shown: tuple[bytes, list[SampledToken]] = (b"", [])
        self._others: tuple[SampledToken, ...] = ()
        self._frame = self._n_frames = 0
        self._trouble = self._head = ""
        self._figures_due = self._head_due = 0.0

    # -- what is known ---------------------------------------------------------------------------------

    @property
    def _tokens_view(self) -> TokenView:
        return self.query_one("#studio-tokens", TokenView)

    @property
    def _fields(self) -> SamplingFields:
        return self.query_one(SamplingFields)

    @property
    def prompt_given(self) -> bytes:
        return prompt_bytes(self.query_one(Prompt).value)

    def _show_head(self) -> None:
        place = self.actions.current
        status = "" if place is None else f" · {place.state.status.value} at step {place.state.step:,}"
        model = "no parameters yet" if self.model is None else f"sampling from {self.model.name}"
        other = "" if self.other is None else f" · beside {self.other.name}"
        self._head_due = time.monotonic() + FIGURES_SECONDS
        head = one_line(f" {model}{other}{status}", self.size.width)
        if head != self._head:
            self._head = head
            self.query_one("#studio-head", Static).update(Content(head), layout=False)

    def say(self, trouble: str) -> None:
        """Show what is wrong, or nothing."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        line = self.query_one("#studio-trouble", Static)
        line.display = bool(trouble)
        line.update(Content(one_line(trouble)))
        self.refresh_bindings()

    # -- showing ---------------------------------------------------------------------------------------

    def _set_mode(self, mode: Mode) -> None:
        self._mode = mode
        self.query_one(UserText).display = mode is Mode.READ
        if mode is not Mode.WRITE:
            self.stop_writing()
            self.query_one(BranchList).display = False
        self.refresh_bindings()

    def _show(self, prompt: bytes, tokens: list[SampledToken]) -> None:
        self._shown, self._others = (prompt, tokens), ()
        self._tokens_view.show(prompt, tokens)
        self._show_figures()
        self._show_place()

    def _show_figures(self, *, now: bool = True) -> None:
        """The figures in the frame, at once or when it is time: what is framed is drawn anew with it."""
        if not now and time.monotonic() < self._figures_due:
            return
        self._figures_due = time.monotonic() + FIGURES_SECONDS
        view, (_, tokens) = self._tokens_view, self._shown
        if view.border_title != self._mode.value:
            view.border_title = self._mode.value
        words = str(TextScore().plus(tokens))
        if self._mode is Mode.LAPSE and self._lapse.frames:
            frames = self._lapse.frames
            words = words if tokens else "as the run kept it, without its probabilities"
            words = f"step {frames[self._frame].step:,} · {self._frame + 1} of {len(frames)} · {words}"
        if self._others:
            other = TextScore().plus(self._others)
            words = (
                f"{TextScore().plus(tokens).bits_per_byte:.3f} bits a byte, beside {other.bits_per_byte:.3f}"
            )
        view.border_subtitle = Content(words)

    @on(TokenView.Highlighted)
    def _cursor_moved(self, message: TokenView.Highlighted) -> None:
        message.stop()
        self._show_place()

    @on(SamplingFields.Changed)
    def _settings_changed(self, message: SamplingFields.Changed) -> None:
        message.stop()
        self.say(message.trouble)
        self._show_place()

    def _show_place(self) -> None:
        """The alternatives under the cursor: as they would be cut now, or as the other model sees them."""
        panel, (_, tokens) = self.query_one(Alternatives), self._shown
        at = self._tokens_view.cursor or 0
        if at >= len(tokens):
            panel.clear()
            return
        token = tokens[at]
        top = token.place.reshaped(self._fields.asked.sampling).top(MOST_ALTERNATIVES)
        top = tuple(
            entry for n, entry in enumerate(top) if n < 10 or max(entry.p, entry.p_cut) >= LEAST_SHOWN
        )
        if at < len(self._others):
            their_place = self._others[at].place
            theirs = {entry.id: entry.p for entry in their_place.top(their_place.logits_V.size)}
            top = tuple(Alternative(entry.id, entry.bytes, entry.p, theirs[entry.id]) for entry in top)
        panel.columns = ("this", "the other") if self._others else ("raw", "after cutting")
        panel.show_alternatives(top, token)

    # -- a text of one's own ---------------------------------------------------------------------------

    def action_own_text(self) -> None:
        self._set_mode(Mode.READ)
        self._show(self.prompt_given, [])
        self.query_one(UserText).focus()
        self._read_own()

    @on(TextArea.Changed)
    def _own_text_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        self._read_own()

    def _read_own(self) -> None:
        text = self.query_one(UserText).text.encode()
        if text:
            self.start_reading(self.prompt_given, text, self._fields.asked)
        else:
            self._show(self.prompt_given, [])

    def on_text_read(self, message: TextRead) -> None:
        message.stop()
        if message.number != self.reading:
            return
        self.say(message.failure)
        if message.failure:
            return
        tokens = list(message.tokens)
        if self._shown[0] != message.prompt or not self._tokens_view.rescore(tokens, message.differences):
            self._show(message.prompt, tokens)
            self._tokens_view.rescore(tokens, message.differences)
        if self._mode is Mode.READ:
            self._shown = (message.prompt, tokens)
        self._others = message.others
        self._show_figures()
        self._show_place()

    # -- the time-lapse --------------------------------------------------------------------------------

    def action_wind(self, by: int) -> None:
        """Go through what the same prompt and seed gave as the model learnt."""
        self._recall()
        if not self._lapse.frames:
            self.say("no film yet: a frame is added whenever the sample beneath is drawn anew")
            return
        if self._mode is not Mode.LAPSE:
            self._set_mode(Mode.LAPSE)
            self._frame, by = len(self._lapse.frames) - 1, 0  # the first key only opens it
        self._show_frame(self._frame + by)

    def _recall(self) -> None:
        """What the run's file holds of the time before this session."""
        place = self.actions.current
        if place is not None and place.state.run is not None:
            self._lapse.recall(*kept_film(Path(place.state.run)))

    def _follow_film(self) -> None:
        """Whoever looks at the newest frame is shown the next one when it comes."""
        n_before, self._n_frames = self._n_frames, len(self._lapse.frames)
        if self._mode is Mode.LAPSE and self._n_frames > n_before == self._frame + 1:
            self._show_frame(self._n_frames - 1)

    def _show_frame(self, index: int) -> None:
        self._frame = self._lapse.place(index)
        scene = self._lapse.scene
        if self._lapse.frames and scene is not None:
            frame = self._lapse.frames[self._frame]
            self._show(scene.prompt + frame.text, self._lapse.tokens(frame))
            self._compare_shown()

    def action_every(self) -> None:
        every = str(self._pace.every_steps or "")
        self.query_one(AskRow).ask("every", "sample every how many steps? Empty: every few seconds", every)

    # -- two models ------------------------------------------------------------------------------------

    def action_compare(self) -> None:
        ask = f"with which run or checkpoint? A{AGAINST}B: those two. → completes. Empty: none"
        self.query_one(AskRow).ask("compare", ask, "", ModelSuggester(self.actions.manager.runs))

    def on_model_opened(self, message: ModelOpened) -> None:
        message.stop()
        self.say(message.failure)
        if message.model is not None:
            self.other = message.model
            self._changed_models(self.pin(message.this))

    def compare_no_more(self) -> None:
        """Back to the run that trains, alone."""
        self.other = None
        self._changed_models(self.pin(None))

    def _changed_models(self, is_another: bool) -> None:
        """What was written by a model that is here no more is written anew, by the one in its place."""
        self._show_head()
        if self._mode is Mode.READ:
            self._read_own()
        elif is_another:
            self.write_anew()
        elif self.other is None:
            prompt, tokens = self._shown
            self._show(prompt, tokens)
        else:
            self._compare_shown()

    def write_anew(self) -> None:
        """Called when another model is to write after the prompt."""

    def _compare_shown(self) -> None:
        prompt, tokens = self._shown
        if self.other is not None and tokens:
            self.start_comparing(prompt, tuple(tokens), self._fields.asked)
