"""Screens that close only themselves, dialogs that ask a question, and the screen of a terminal too small.

Textual's `dismiss` closes the topmost screen, whichever screen asked: a button's message may be handled after
an Escape has closed its screen, or after a shrinking terminal has covered it with another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.screen import ModalScreen, Screen, ScreenResultType
from textual.suggester import Suggester
from textual.widgets import Button, Input, Static

from ..text.safe import unwrapped

WIDTHS = [(0, "-tiny"), (72, "-narrow"), (100, "-wide"), (160, "-huge")]
HEIGHTS = [(0, "-flat"), (20, "-short"), (30, "-tall")]
LEAST_WIDTH = 40
LEAST_HEIGHT = 12


class InTurn(Screen[ScreenResultType]):
    """A screen whose `dismiss` closes this screen and no other: once it is mounted and the topmost."""

    _held: tuple[ScreenResultType | None] | None = None

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Close with `result`, now or as soon as this screen can be closed; nothing if it is closed."""
        if self.is_mounted and self.app.screen is self:
            return super().dismiss(result)
        self._held = (result,)
        return AwaitComplete()

    def on_screen_resume(self) -> None:
        if self._held is not None:
            (result,), self._held = self._held, None
            self.dismiss(result)


class ModalInTurn(ModalScreen[ScreenResultType], InTurn[ScreenResultType]):
    """The same for a dialog above another screen."""


class TextQuestion(ModalInTurn[str | None]):
    """Asks for a line of text; the result is None if it was cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel")]

    def __init__(self, title: str, value: str = "", most: int = 1000) -> None:
        super().__init__()
        self._title, self._value, self._most = title, value, most

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(unwrapped(self._title))
            dialog.border_subtitle = "enter saves it, escape cancels"
            yield Input(self._value, max_length=self._most, compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value)


class Question(ModalInTurn[ScreenResultType]):
    """Asks for one of several answers: a button for each, with the result that it stands for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, text: list[Static], answers: dict[Button, ScreenResultType]) -> None:
        super().__init__()
        self.question_title, self._text, self._answers = title, text, answers

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(unwrapped(self.question_title))
            yield from self._text
            yield Horizontal(*self._answers, classes="dialog-buttons")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(self._answers[event.button])


class YesNo(Question[bool]):
    """Asks for confirmation; the focus begins on No."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "dismiss(False)", "No"),
        Binding("y", "dismiss(True)", "Yes"),
    ]

    def __init__(self, title: str, question: str, yes: str) -> None:
        answers = {Button("No", compact=True): False, Button(yes, variant="warning", compact=True): True}
        super().__init__(title, [Static(Content(question))], answers)


class AskRow(Vertical):
    """A row with a question and an input, hidden until `ask`; Enter answers, Escape cancels."""

    DEFAULT_CSS = """
    AskRow {
        height: 2;
        padding: 0 1;
        & > Static { height: 1; color: $text-muted; }
        & > Input { height: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Cancel")]

    @dataclass
    class Answered(Message):
        """The answer to the question of that name."""

        question: str
        answer: str

    def __init__(self) -> None:
        super().__init__(id="ask")
        self._question = ""

    def compose(self) -> ComposeResult:
        yield Static()
        yield Input(compact=True)

    def ask(self, question: str, words: str, answer: str, suggester: Suggester | None = None) -> None:
        """Ask, starting from `answer`; `suggester` completes what is typed."""
        self._question = question
        self.query_one(Static).update(Content(words))
        entry = self.query_one(Input)
        entry.suggester = suggester
        entry.value = answer
        self.display = True
        entry.focus()

    def action_close(self) -> None:
        self.display = False
        self.screen.focus_previous()

    @on(Input.Submitted)
    def _answered(self, event: Input.Submitted) -> None:
        event.stop()
        self.display = False
        self.post_message(self.Answered(self._question, event.value))


def fits(size: Size) -> bool:
    return size.width >= LEAST_WIDTH and size.height >= LEAST_HEIGHT


class TooSmallScreen(InTurn[None]):
    """Asks for a larger terminal, and closes itself once there is one."""

    def compose(self) -> ComposeResult:
        yield Static(id="too-small")

    def on_mount(self) -> None:
        self._show_size(self.app.size)

    def on_resize(self, event: events.Resize) -> None:
        self._show_size(event.size)
        self.on_screen_resume()

    def on_screen_resume(self) -> None:
        if fits(self.app.size):  # the event's size may be outdated
            self.dismiss()

    def _show_size(self, size: Size) -> None:
        now = f"now {size.width}×{size.height}, needs {LEAST_WIDTH}×{LEAST_HEIGHT}\n"
        heading, goes_on = (
            ("Please make the terminal larger\n", "bold"),
            ("the run continues", "$text-success"),
        )
        text = Content.assemble(heading, (now, "$foreground-muted"), goes_on)
        self.query_one("#too-small", Static).update(text)
