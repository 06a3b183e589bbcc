"""The sampling screen: write, branch, read a text of one's own, wind back, compare, take away."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from femtotui.core.sampling.sampler import Alternative
from femtotui.core.tokenizers.tokenizer import characters_lacking, without

from ..runs.actions import RunActions
from ..tokens.alternatives import Alternatives
from ..tokens.token_view import TokenView
from ..widgets.dialogs import AskRow
from ..widgets.help_screen import HelpScreen
from ..widgets.key_line import KeyLine
from .branches import Branches, BranchList
from .fields import Prompt, SamplingFields, UserText
from .models import NewestModel
from .reading import SampleGrew
from .sample_help import SAMPLE_KEYS, SAMPLE_MEANINGS
from .showing import Mode
from .stream import Pace
from .taking import TakingScreen
from .timelapse import Timelapse


class SampleScreen(TakingScreen):
    """Everything about one prompt, or one text. The training goes on beneath."""

    AUTO_FOCUS = "#prompt"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (80, "-narrow"), (100, "-wide")]  # noqa: RUF012
    DEFAULT_CSS = """
    SampleScreen {
        background: $background;
        & #studio-head { height: 1; background: $panel; }
        & #studio-prompt { height: 1; padding: 0 1; }
        & #studio-prompt > Static { width: 8; color: $text-muted; }
        & #studio-prompt > Prompt { width: 1fr; }
        & #own-text { height: 5; margin: 0 1; }
        & #studio-trouble { height: auto; max-height: 2; padding: 0 1; color: $text-error; display: none; }
        & #studio-body { height: 1fr; }
        & #studio-tokens { width: 1fr; height: 1fr; background: transparent; }
        & #studio-side { width: 36; }
        & #studio-next { height: 1fr; }
        &.-wide #studio-side { width: 48; }
        &.-tiny #studio-side, &.-tiny SamplingFields { display: none; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "prompt", "prompt"),
        Binding("t", "own_text", "your text"),
        Binding("u", "undo", "undo"),
        Binding("r", "redo", "redo"),
        Binding("left_square_bracket", "wind(-1)", "wind", key_display="[ ]"),
        Binding("right_square_bracket", "wind(1)", show=False),
        Binding("d", "compare", "compare"),
        Binding("e", "export", "export"),
        Binding("y", "copy_text", "copy"),
        Binding("Y,upper_y", "copy_log_probs", "copy log-probs", show=False),
        Binding("v", "every", "every…", show=False),
        Binding("minus", "move('temperature', -1)", show=False),
        Binding("plus,equals_sign", "move('temperature', 1)", show=False),
        Binding("comma", "move('top-p', -1)", show=False),
        Binding("full_stop", "move('top-p', 1)", show=False),
        Binding("less_than_sign", "move('top-k', -1)", show=False),
        Binding("greater_than_sign", "move('top-k', 1)", show=False),
        Binding("enter", "choose", "alternatives"),
        Binding("ctrl+l", "leave_out", "leave out", priority=True),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("escape", "leave", "back"),
    ]

    def __init__(
        self, actions: RunActions, newest: NewestModel, lapse: Timelapse, pace: Pace, prompt: str
    ) -> None:
        super().__init__(actions, newest, lapse, pace)
        self._first_prompt = prompt
        self._wanted = False

    def compose(self) -> ComposeResult:
        yield Static(id="studio-head")
        with Horizontal(id="studio-prompt"):
            yield Static("prompt")
            yield Prompt()
        yield SamplingFields()
        yield UserText()
        yield Static(id="studio-trouble")
        with Horizontal(id="studio-body"):
            yield TokenView(id="studio-tokens")
            with Vertical(id="studio-side"):
                yield Alternatives(id="studio-next")
                yield BranchList()
        yield AskRow()
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(Prompt).value = self._first_prompt
        for widget in (self.query_one(UserText), self.query_one(AskRow), self.query_one(BranchList)):
            widget.display = False
        self._tokens_view.follow = False
        self.tick()

    # -- keeping up -----------------------------------------------------------------------------------

    def tick(self) -> None:
        """Take what the training has brought: the text is read anew, the film goes on."""
        is_newer = self.newer_model()
        if is_newer and self._wanted:
            self.write_anew()
        elif is_newer and self._mode is Mode.READ:
            self._read_own()
        self._follow_film()
        if is_newer or time.monotonic() >= self._head_due:
            self._show_head()

    # -- writing ---------------------------------------------------------------------------------------

    @on(Input.Submitted, "#prompt, SettingField")
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if not self._fields.trouble:
            self.write_anew()

    def write_anew(self) -> None:
        """Begin a new text after the prompt."""
        if self.model is None:
            self._wanted = self.actions.manager.ask_snapshot()
            self.say("" if self._wanted else "there is nothing to sample from yet")
            return
        self._wanted = False
        self._set_mode(Mode.WRITE)
        self.say("")
        self._branches = Branches(self.prompt_given)
        self._show(self.prompt_given, [])
        self.start_writing(self.prompt_given, [], self._fields.asked)

    def on_sample_grew(self, message: SampleGrew) -> None:
        message.stop()
        if message.number != self.writing or self._mode is not Mode.WRITE:
            return
        branch = self._branches.current
        is_first = not branch.tokens
        branch.tokens.extend(message.piece.tokens)
        self._shown = (self._branches.prompt, branch.tokens)
        self._tokens_view.append(message.piece.tokens)
        self._show_figures(now=is_first or message.piece.done)
        if is_first:
            self._show_place()
        if message.piece.done:
            self.say(message.piece.failure)
            self.query_one(BranchList).show(self._branches)
            self._compare_shown()

    @on(Alternatives.Picked)
    def _branch(self, message: Alternatives.Picked) -> None:
        """Let the text go on with another token from the cursor on."""
        at = self._tokens_view.cursor or 0
        prompt, tokens = self._shown
        if not isinstance(message.alternative, Alternative) or at >= len(tokens):
            return
        if self._mode is not Mode.WRITE:
            self._branches = Branches(prompt)
            self._branches.current.tokens.extend(tokens)
            self._set_mode(Mode.WRITE)
        if self._branches.is_full:
            self.say("that is enough branches: enter in the prompt begins a new tree")
            return
        sampling = self._fields.asked.sampling
        branch = self._branches.branch(at, tokens[at].place.reshaped(sampling).token(message.alternative.id))
        self._show_branch(at)
        self.start_writing(prompt, [token.id for token in branch.tokens], self._fields.asked)

    def _show_branch(self, cursor: int | None = None) -> None:
        self._show(self._branches.prompt, self._branches.current.tokens)
        self.query_one(BranchList).show(self._branches)
        self._tokens_view.focus()
        self._tokens_view.cursor = cursor
        self._compare_shown()
        self.refresh_bindings()

    def action_undo(self) -> None:
        self.stop_writing()
        at = self._branches.current.at
        self._branches.undo()
        self._show_branch(at)

    def action_redo(self) -> None:
        self.stop_writing()
        self._show_branch(self._branches.redo().at)

    @on(BranchList.Chosen)
    def _go_to_branch(self, message: BranchList.Chosen) -> None:
        self.stop_writing()
        self._branches.go_to(message.branch)
        self._show_branch(message.branch.at)

    # -- answers ---------------------------------------------------------------------------------------

    @on(AskRow.Answered)
    def _answered(self, message: AskRow.Answered) -> None:
        message.stop()
        self._tokens_view.focus()
        answer = message.answer.strip()
        if message.question == "compare" and answer:
            self.open_others(answer)
        elif message.question == "compare":
            self.compare_no_more()
        elif message.question == "export" and answer:
            self.export(answer)
        elif message.question == "every":
            self._set_every(answer)

    def _set_every(self, answer: str) -> None:
        if answer and not (answer.isdecimal() and int(answer) > 0):
            self.say("every how many steps? A whole number above 0, or nothing")
            return
        self._pace.every_steps = int(answer or 0)
        self.say("")

    # -- keys ------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        del parameters
        offered = {
            "undo": self._mode is Mode.WRITE and self._branches.can_undo,
            "redo": self._mode is Mode.WRITE and self._branches.can_redo,
            "leave_out": "ctrl+l" in self._trouble,
        }
        return offered.get(action, True)

    def action_prompt(self) -> None:
        self.query_one(Prompt).focus()

    def action_choose(self) -> None:
        """From a token to what else could have stood there."""
        if self._tokens_view.has_focus and self._shown[1]:
            if self._tokens_view.cursor is None:
                self._tokens_view.cursor = 0
            self.query_one(Alternatives).focus()

    def action_move(self, name: str, direction: int) -> None:
        self._fields.move(name, direction)

    def action_leave_out(self) -> None:
        """Drop what the tokenizer lacks, from the prompt and from the text."""
        if self.model is None:
            return
        tokenizer = self.model.sampler().tokenizer
        prompt, own = self.query_one(Prompt), self.query_one(UserText)
        for field in (prompt, own):
            text = (field.value if isinstance(field, Prompt) else field.text).encode()
            kept = without(text, characters_lacking(tokenizer, text)).decode()
            if isinstance(field, Prompt):
                field.value = kept
            else:
                field.text = kept
        self.say("")
        if self._mode is Mode.READ:
            self._read_own()
        else:
            self.write_anew()

    def action_help(self) -> None:
        self.app.push_screen(HelpScreen(SAMPLE_KEYS, SAMPLE_MEANINGS))

    def action_leave(self) -> None:
        """From a field to the tokens, from the tokens back to the training."""
        if self._tokens_view.has_focus or not self._shown[1]:
            self.dismiss()
        else:
            self._tokens_view.focus()
