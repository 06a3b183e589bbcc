"""The Sample screen: write, branch, score a text, scrub the time-lapse, compare, look inside, export."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import Enum
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static, TextArea

from femtotui.core.errors import FemtoError
from femtotui.core.sampling.sampler import SampledToken

from ..inspection import inside_view
from ..inspection.inside_view import InsidePanels
from ..inspection.weights_screen import WeightsScreen
from ..runs.actions import RunActions
from ..text.safe import one_line, plain_text
from ..tokens.alternatives import NextToken
from ..tokens.export_formats import Sample, export, log_prob_lines
from ..tokens.scoring import ScoredText
from ..tokens.token_view import TokenView
from ..widgets.dialogs import AskRow, InTurn
from ..widgets.help_screen import HelpScreen, Rows
from ..widgets.key_line import KeyLine
from .branches import Branches, BranchList
from .fields import VERSUS, ModelSuggester, Prompt, SamplingFields, UserText
from .inside import InsideRead, InsideReader
from .models import LEAVE_OUT_HINT, ModelOpened, ModelReader, NewestModel, SampleGrew, TextRead
from .stream import Pace, prompt_bytes
from .timelapse import Timelapse, TimelapsePlayer

FIGURES_SECONDS = 1.0
"""Figures in frames are drawn at most this often: all that is framed is drawn with them."""

_UNDO = "undo and redo: the branches that were shown before"
_LAYER = "inside: the next layer, the one before"
_HEAD = "inside: the head before, the next; before the first, their mean"
_THROUGH = "inside: an earlier checkpoint of the run, a later one"
_SCRUB = "scrub the time-lapse back and forth, into earlier sessions, too"
_hidden = partial(Binding, show=False)
_SETTINGS = "temperature down and up, top-p down and up, top-k down and up: the bars follow at once"

MEANINGS: Rows = (
    ("enter", "in a field: write a new sample. On the tokens: to the alternatives; there: continue with one"),
    ("← → ↑ ↓", "move through the tokens; the mouse does, too"),
    ("tab", "next: fields, tokens, alternatives, branches"),
    ("colour", "a token's probability as the model gave it; brighter is more surprising. Compared: blue "
     "where this model predicted it better, orange where the other did"),
    ("raw", "the model's own probabilities. After top-p: what temperature, top-k and top-p leave"),
    ("rank", "1 is the most probable token at that place"),
    ("surprise", "-log2 of the probability: each bit halves it. Entropy is the surprise that is expected"),
    ("perplexity", "the surprise of equally likely tokens, as their number"),
    ("context", "past the model's context it reads the last half of it again, and continues from there"),
)  # fmt: skip


class Mode(Enum):
    """The source of the tokens on the screen. The value is the title of the frame."""

    WRITE = "sample"
    READ = "your text"
    TIMELAPSE = "time-lapse"


class SampleScreen(InTurn[None]):
    """One prompt, or one text, in detail. The training continues meanwhile."""

    AUTO_FOCUS = "#prompt"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (80, "-narrow"), (100, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "inside", "inside", tooltip="look inside the model: what it looked at, and its layers"),
        Binding("j", "look('layer', 1)", "layer", key_display="j k", tooltip=_LAYER),
        _hidden("k", "look('layer', -1)", tooltip=_LAYER),
        Binding("l", "look('head', 1)", "head", key_display="h l", tooltip=_HEAD),
        _hidden("h", "look('head', -1)", tooltip=_HEAD),
        Binding("a", "all_heads", "all heads", tooltip="the heads of all layers, or of one"),
        Binding("left_square_bracket", "through(-1)", "step", key_display="[ ]", tooltip=_THROUGH),
        _hidden("right_square_bracket", "through(1)", tooltip=_THROUGH),
        Binding("o", "other", "other", tooltip="the text coloured by the other model"),
        Binding("p", "prompt", "prompt", tooltip="to the prompt"),
        Binding("t", "user_text", "your text", tooltip="type or paste a text to see its surprises"),
        Binding("u", "undo", "undo", tooltip=_UNDO),
        Binding("r", "redo", "redo", tooltip=_UNDO),
        Binding("left_square_bracket", "scrub(-1)", "scrub", key_display="[ ]", tooltip=_SCRUB),
        _hidden("right_square_bracket", "scrub(1)", tooltip=_SCRUB),
        Binding("d", "compare", "compare", tooltip="compare with a run or checkpoint; two: one vs the other"),
        Binding("e", "export", "export", tooltip="save as text, JSON, log-probs, SVG or HTML"),
        Binding("y", "copy('text')", "copy", tooltip="copy the text"),
        _hidden("Y,upper_y", "copy('text and log-probs')", tooltip="copy the text with log-probs"),
        _hidden("W", "weights", "weights", id="weights", tooltip="the weights: a map of any tensor"),
        _hidden("v", "every", tooltip="how often the time-lapse gets a frame"),
        _hidden("minus", "move('temperature', -1)", tooltip=_SETTINGS),
        _hidden("plus,equals_sign", "move('temperature', 1)", tooltip=_SETTINGS),
        _hidden("comma", "move('top-p', -1)", tooltip=_SETTINGS),
        _hidden("full_stop", "move('top-p', 1)", tooltip=_SETTINGS),
        _hidden("less_than_sign", "move('top-k', -1)", tooltip=_SETTINGS),
        _hidden("greater_than_sign", "move('top-k', 1)", tooltip=_SETTINGS),
        Binding("enter", "choose", "alternatives", tooltip="from a token to its alternatives"),
        Binding("ctrl+l", "leave_out", "leave out", priority=True, tooltip="drop what the tokenizer lacks"),
        Binding("question_mark", "help", "help", key_display="?", tooltip="this help"),
        Binding("escape", "leave", "back", tooltip="from a field to the tokens, from there to the training"),
    ]

    def __init__(
        self, actions: RunActions, newest: NewestModel, timelapse: Timelapse, pace: Pace, prompt: str
    ) -> None:
        super().__init__()
        self.actions = actions
        self.reader = ModelReader(actions, newest, self.post_message)
        self.inside = InsideReader(self.reader, self.post_message)
        self._is_inside = False
        self.player = TimelapsePlayer(timelapse)
        self._pace, self._first_prompt = pace, prompt
        self._mode = Mode.WRITE
        self._branches = Branches()
        self._shown = ScoredText()
        self._waits_for_model = False
        self._problem = self._head = ""
        self._figures_due = self._head_due = 0.0

    def compose(self) -> ComposeResult:
        yield Static(id="sampling-head")
        with Horizontal(id="sampling-prompt"):
            yield Static("prompt")
            yield Prompt(self._first_prompt)
        yield SamplingFields()
        yield UserText()
        yield Static(id="sampling-trouble")
        with Horizontal(id="sampling-body"):
            yield TokenView(id="sampling-tokens")
            with Vertical(id="sampling-side"):
                yield NextToken(can_branch=True, id="sampling-next")
                yield BranchList()
            yield InsidePanels()
        yield AskRow()
        yield KeyLine()

    def on_mount(self) -> None:
        self._view.follow = False
        self.tick()

    def on_unmount(self) -> None:
        self.reader.close()
        self.inside.close()

    def tick(self) -> None:
        """Follow the training: use its newest parameters, and show the newest frame of the time-lapse."""
        is_newer = self.reader.update()
        if is_newer and self._waits_for_model:
            self.write_new()
        elif is_newer and self._mode is Mode.READ:
            self._read_user_text()
        elif is_newer:
            self._show_inside()
        if self.player.follow() and self._mode is Mode.TIMELAPSE:
            self._show(self.player.text)
        if is_newer or time.monotonic() >= self._head_due:
            self._show_head()

    # -- showing ---------------------------------------------------------------------------------------

    @property
    def _view(self) -> TokenView:
        return self.query_one("#sampling-tokens", TokenView)

    @property
    def _fields(self) -> SamplingFields:
        return self.query_one(SamplingFields)

    @property
    def _prompt(self) -> bytes:
        return prompt_bytes(self.query_one(Prompt).value)

    def say(self, problem: str) -> None:
        """Show a problem, or none."""
        if problem != self._problem:
            self._problem = problem
            line = self.query_one("#sampling-trouble", Static)
            line.display = bool(problem)
            line.update(Content(one_line(problem)))
            self.refresh_bindings()

    def _set_mode(self, mode: Mode) -> None:
        self._mode = mode
        self.query_one(UserText).display = mode is Mode.READ
        if mode is not Mode.WRITE:
            self.reader.stop_writing()
            self.query_one(BranchList).display = False
        self.refresh_bindings()

    def _show(self, text: ScoredText) -> None:
        """Show a text; if it is the one on the screen with other figures, the cursor stays."""
        is_same = text.prompt == self._shown.prompt
        self._shown = text
        if not (is_same and self._view.rescore(text.tokens, text.differences)):
            self._view.show(text.prompt, text.tokens)
            self._view.rescore(text.tokens, text.differences)
        self._show_figures()
        self._show_alternatives()
        self._compare()

    def _show_head(self) -> None:
        self._head_due = time.monotonic() + FIGURES_SECONDS
        head = one_line(f" {self.reader.description}", self.size.width)
        if head != self._head:
            self._head = head
            self.query_one("#sampling-head", Static).update(Content(head), layout=False)

    def _show_figures(self, *, now: bool = True) -> None:
        """Show the score in the frame, at once or when it is due."""
        if not now and time.monotonic() < self._figures_due:
            return
        self._figures_due = time.monotonic() + FIGURES_SECONDS
        if self._view.border_title != self._mode.value:
            self._view.border_title = self._mode.value
        if self._is_inside:
            return
        is_frame = self._mode is Mode.TIMELAPSE and not self._shown.others
        self._view.border_subtitle = Content(self.player.caption if is_frame else self._shown.figures)

    @on(TokenView.Highlighted)
    def _show_alternatives(self) -> None:
        """Show the alternatives under the cursor, after the current settings or beside the other model's."""
        if self._is_inside:
            self._show_inside()
            return
        panel, at = self.query_one(NextToken), self._view.cursor or 0
        if at >= len(self._shown.tokens):
            panel.show(None)
            return
        panel.columns = ("this", "the other") if self._shown.others else ("raw", "after top-p")
        top = self._shown.alternatives(at, self._fields.request.sampling)
        panel.show(self._shown.tokens[at], top, self._shown.before(at))

    @on(SamplingFields.Changed)
    def _settings_changed(self) -> None:
        self.say(self._fields.problem)
        self._show_alternatives()

    # -- writing ---------------------------------------------------------------------------------------

    @on(Input.Submitted, "SettingField")
    def _entered(self) -> None:
        if not self._fields.problem:
            self.write_new()

    def write_new(self) -> None:
        """Write a new sample after the prompt."""
        if self.reader.model is None:
            self._waits_for_model = self.actions.manager.ask_snapshot()
            self.say("" if self._waits_for_model else "there is nothing to sample from yet")
            return
        self._waits_for_model = False
        self._set_mode(Mode.WRITE)
        self.say("")
        self._branches = Branches(self._prompt)
        self._show(self._branches.text)
        self.reader.write(self._prompt, [], self._fields.request)

    def on_sample_grew(self, message: SampleGrew) -> None:
        if message.number != self.reader.sample_number or self._mode is not Mode.WRITE:
            return
        piece, is_first = message.piece, not self._branches.current.tokens
        self._branches.current.tokens.extend(piece.tokens)
        self._shown = self._branches.text
        self._view.append(piece.tokens)
        self._show_figures(now=is_first or piece.done)
        if is_first:
            self._show_alternatives()
        if piece.done:
            self.say(piece.failure)
            self.query_one(BranchList).show(self._branches)
            self._compare()

    @on(NextToken.Picked)
    def _branch(self, message: NextToken.Picked) -> None:
        """Continue the text with another token at the cursor."""
        at, text, request = self._view.cursor or 0, self._shown, self._fields.request
        if at >= len(text.tokens):
            return
        if self._mode is not Mode.WRITE:
            self._branches = Branches(text.prompt, text.tokens)
            self._set_mode(Mode.WRITE)
        if self._branches.is_full:
            self.say("no more branches are kept: enter in the prompt begins a new tree")
            return
        token = text.tokens[at].distribution.with_sampling(request.sampling).token(message.alternative.id)
        branch = self._branches.branch(at, token)
        self._show_branch(branch.at)
        self.reader.write(text.prompt, [token.id for token in branch.tokens], request)

    def _show_branch(self, cursor: int) -> None:
        self.reader.stop_writing()
        self._show(self._branches.text)
        self.query_one(BranchList).show(self._branches)
        self._view.focus()
        self._view.cursor = cursor
        self.refresh_bindings()

    def action_undo(self) -> None:
        at = self._branches.current.at
        self._branches.undo()
        self._show_branch(at)

    def action_redo(self) -> None:
        self._show_branch(self._branches.redo().at)

    @on(BranchList.Chosen)
    def _go_to_branch(self, message: BranchList.Chosen) -> None:
        self._branches.go_to(message.branch)
        self._show_branch(message.branch.at)

    # -- reading and comparing -------------------------------------------------------------------------

    def action_user_text(self) -> None:
        self._set_mode(Mode.READ)
        self._show(ScoredText(self._prompt))
        self.query_one(UserText).focus()
        self._read_user_text()

    @on(TextArea.Changed)
    def _read_user_text(self) -> None:
        text = self.query_one(UserText).text.encode()
        if text:
            self.reader.read(self._prompt, text, self._fields.request.sampling)
        else:
            self._show(ScoredText(self._prompt))

    def on_text_read(self, message: TextRead) -> None:
        if message.number != self.reader.text_number:
            return
        self.say(message.failure)
        if not message.failure:
            tokens = message.text.tokens if self._mode is Mode.READ else self._shown.tokens
            self._show(ScoredText(message.text.prompt, tokens, message.text.others))

    def action_compare(self) -> None:
        ask = f"with which run or checkpoint? A{VERSUS}B: those two. → completes. Empty: none"
        self.query_one(AskRow).ask("compare", ask, "", ModelSuggester(self.actions.manager.runs))

    def on_model_opened(self, message: ModelOpened) -> None:
        """Compare with the model; with a model of this screen that changed, too, write or read again."""
        self.say(message.failure)
        if message.failure:
            return
        is_another = self.reader.compare_with(message.model, message.this)
        self.inside.show_newest()
        self._show_head()
        self.refresh_bindings()
        if self._mode is Mode.READ:
            self._read_user_text()
        elif is_another:
            self.write_new()
        else:
            self._show(ScoredText(self._shown.prompt, self._shown.tokens))

    def _compare(self) -> None:
        """Have the other model score the text on the screen, unless it has."""
        if self.reader.other is not None and self._shown.tokens and not self._shown.others:
            sampling = self._fields.request.sampling
            self.reader.read(self._shown.prompt, tuple(self._shown.tokens), sampling)

    # -- inside ----------------------------------------------------------------------------------------

    @property
    def _panels(self) -> InsidePanels:
        return self.query_one(InsidePanels)

    def action_inside(self) -> None:
        """Look inside the model that predicts the tokens, or no more."""
        self._is_inside = not self._is_inside
        self.set_class(self._is_inside, "-inside")
        if not self._is_inside:
            self.inside.show_newest()
            self._view.tint(None)
            self._show_figures()
        else:
            self._view.cursor = self._view.cursor or 0
            if self._mode is Mode.TIMELAPSE:
                self.say("frames of the time-lapse keep no parameters: the newest model reads their text")
        self._show_alternatives()
        self.refresh_bindings()

    def look_into(self, prompt: bytes, tokens: Sequence[SampledToken], cursor: int) -> None:
        """Show a sample that was written elsewhere, and look inside."""
        self._branches = Branches(prompt, tokens)
        self._show_branch(cursor)
        self.action_inside()

    def _show_inside(self) -> None:
        """Show what the models saw at the cursor, as far as it is known."""
        if self._is_inside:
            self._panels.show(self.inside.see(self._shown, self._view.cursor or 0))
            weights, caption = self._panels.weights_and_caption
            self._view.tint(weights)
            self._view.border_subtitle = Content(caption)

    def on_inside_read(self, message: InsideRead) -> None:
        words = self.inside.keep(message)
        if words:
            self.say(words)
        self._show_inside()

    def action_look(self, what: str, by: int) -> None:
        self._panels.look(what, by)
        self._show_inside()

    def action_all_heads(self) -> None:
        self._panels.everything = not self._panels.everything
        self._show_inside()

    def action_other(self) -> None:
        self._panels.marked = 1 - self._panels.marked
        self._show_inside()

    def action_through(self, by: int) -> None:
        self.say(self.inside.move(by))
        self._show_inside()

    # -- time-lapse ------------------------------------------------------------------------------------

    def action_scrub(self, by: int) -> None:
        """Move through the samples of the same prompt and seed; the first key opens the newest."""
        self.player.restore(self.actions.manager.current_folder)
        if not self.player.timelapse.frames:
            self.say("no frames yet: one is added with every new sample of the training screen")
            return
        if self._mode is Mode.TIMELAPSE:
            self.player.move(by)
        else:
            self._set_mode(Mode.TIMELAPSE)
            self.player.move_to_newest()
        self._show(self.player.text)

    def action_every(self) -> None:
        every = str(self._pace.every_steps or "")
        self.query_one(AskRow).ask("every", "a frame every how many steps? Empty: every few seconds", every)

    # -- exporting -------------------------------------------------------------------------------------

    def action_export(self) -> None:
        self.query_one(AskRow).ask("export", "save as (.txt .json .logprobs .svg .html)", "sample.svg")

    def _export(self, name: str) -> None:
        """Save the text in the format that the file's ending names."""
        title = "femtotui" if self.reader.model is None else self.reader.model.name
        seed = self._fields.request.sampling.seed if self._mode is Mode.WRITE else None
        sample = Sample(self._shown.prompt, self._shown.tokens, title, seed, self.app.current_theme.dark)
        try:
            path = export(sample, name)
        except FemtoError as error:
            self.say(f"{error.title}: {error}")
        else:
            self.notify(f"saved as {one_line(str(path))}", markup=False)

    def action_copy(self, form: str) -> None:
        """Copy the text, or its tokens with their log-probs."""
        text = self._shown
        copied = plain_text(text.prompt + text.data) if form == "text" else log_prob_lines(text.tokens)
        self.app.copy_to_clipboard(copied)
        self.notify(f"{len(text.tokens):,} tokens copied as {form}")

    # -- keys ------------------------------------------------------------------------------------------

    @on(AskRow.Answered)
    def _answered(self, message: AskRow.Answered) -> None:
        self._view.focus()
        match message.question, message.answer.strip():
            case "compare", "":
                self.post_message(ModelOpened(None))
            case "compare", names:
                self.reader.open_models(names)
            case "every", steps:
                self.say(self._pace.set_every(steps))
            case "export", name if name:
                self._export(name)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        del parameters
        offered = {
            **dict.fromkeys(("look", "all_heads", "through"), self._is_inside),
            "other": self._is_inside and self.reader.other is not None,
            **dict.fromkeys(("scrub", "choose"), not self._is_inside),
            "undo": self._mode is Mode.WRITE and self._branches.can_undo,
            "redo": self._mode is Mode.WRITE and self._branches.can_redo,
            "leave_out": LEAVE_OUT_HINT in self._problem,
        }
        return offered.get(action, True)

    def action_prompt(self) -> None:
        self.query_one(Prompt).focus()

    def action_choose(self) -> None:
        """Move from a token to its alternatives."""
        if self._view.has_focus and self._shown.tokens:
            if self._view.cursor is None:
                self._view.cursor = 0
            self.query_one(NextToken).focus()

    def action_move(self, name: str, direction: int) -> None:
        self._fields.move(name, direction)

    def action_leave_out(self) -> None:
        """Drop the characters that the tokenizer lacks from the prompt and from the text."""
        prompt, editor = self.query_one(Prompt), self.query_one(UserText)
        prompt.value = self.reader.writable(prompt.value)
        editor.text = self.reader.writable(editor.text)
        self.say("")
        if self._mode is Mode.READ:
            self._read_user_text()
        else:
            self.write_new()

    def action_weights(self) -> None:
        self.app.push_screen(WeightsScreen(self.actions))

    def action_help(self) -> None:
        meanings = inside_view.MEANINGS if self._is_inside else MEANINGS
        self.app.push_screen(HelpScreen.for_screen(self, meanings))

    def action_leave(self) -> None:
        """Leave a field for the tokens, Inside for the alternatives, and the tokens for the training."""
        if self._is_inside and self._view.has_focus:
            self.action_inside()
        elif self._view.has_focus or not self._shown.tokens:
            self.dismiss()
        else:
            self._view.focus()
