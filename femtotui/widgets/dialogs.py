"""Screens that take nobody else with them when they leave.

Textual's `dismiss` takes the topmost screen away, whichever screen asked. A button's message may be handled
after an Escape has closed its screen, or after a terminal that shrank has laid another one over it. A screen
that has gone has nothing left to leave; one that is covered leaves when it is the topmost again, and one that
is still being mounted, when its widgets are there: its own messages look for them.
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


class InTurn(Screen[ScreenResultType]):
    """A screen whose `dismiss` takes away this screen and no other."""

    _held: tuple[ScreenResultType | None] | None = None

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        """Leave with `result`: at once, or when this screen is mounted and the topmost."""
        if self.is_mounted and self.app.screen is self:
            return super().dismiss(result)
        self._held = (result,)
        return AwaitComplete()

    def on_screen_resume(self) -> None:
        if self._held is not None:
            (result,), self._held = self._held, None
            self.dismiss(result)


class ModalInTurn(ModalScreen[ScreenResultType], InTurn[ScreenResultType]):
    """The same for a question asked above another screen."""


class TextQuestion(ModalInTurn[str | None]):
    """Asks for a line of text; None if it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(self, title: str, value: str = "", most: int = 1000) -> None:
        super().__init__()
        self._title, self._value, self._most = title, value, most

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(unwrapped(self._title))
            dialog.border_subtitle = "enter keeps it, escape leaves"
            yield Input(self._value, max_length=self._most, compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value)

    def action_leave(self) -> None:
        self.dismiss(None)


class YesNo(ModalInTurn[bool]):
    """Asks whether to do something; `no` is where the keys are at first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "No"),
        Binding("y", "answer(True)", "Yes"),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, question: str, yes: str) -> None:
        super().__init__()
        self._title, self._question, self._yes = title, question, yes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(unwrapped(self._title))
            yield Static(Content(self._question))
            with Horizontal(classes="dialog-buttons"):
                yield Button("No", id="no", compact=True)
                yield Button(self._yes, id="yes", variant="warning", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)


WIDTHS = [(0, "-tiny"), (72, "-narrow"), (100, "-wide"), (160, "-huge")]
HEIGHTS = [(0, "-flat"), (20, "-short"), (30, "-tall")]


class AskRow(Vertical):
    """Hidden until `ask`; Enter answers, Escape does not."""

    DEFAULT_CSS = """
    AskRow {
        height: 2;
        padding: 0 1;
        & > Static { height: 1; color: $text-muted; }
        & > Input { height: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "never mind")]

    @dataclass
    class Answered(Message):
        """What was answered to the question of that name."""

        question: str
        answer: str

    def __init__(self) -> None:
        super().__init__(id="ask")
        self._question = ""

    def compose(self) -> ComposeResult:
        yield Static()
        yield Input(compact=True)

    def ask(self, question: str, words: str, answer: str, suggester: Suggester | None = None) -> None:
        """Ask, with an answer to begin from; `suggester` completes what is typed."""
        self._question = question
        self.query_one(Static).update(Content(words))
        entry = self.query_one(Input)
        entry.suggester = suggester
        entry.value = answer
        self.display = True
        entry.focus()

    def action_close(self) -> None:
        """No answer."""
        self.display = False
        self.screen.focus_previous()

    @on(Input.Submitted)
    def _answered(self, event: Input.Submitted) -> None:
        event.stop()
        self.display = False
        self.post_message(self.Answered(self._question, event.value))


LEAST_WIDTH = 40
LEAST_HEIGHT = 12


def fits(size: Size) -> bool:
    """Whether there is room for the app."""
    return size.width >= LEAST_WIDTH and size.height >= LEAST_HEIGHT


class TooSmallScreen(InTurn[None]):
    """Asks for more room, and leaves by itself when there is."""

    def compose(self) -> ComposeResult:
        yield Static(id="too-small")

    def on_mount(self) -> None:
        self._tell(self.app.size)

    def on_resize(self, event: events.Resize) -> None:
        self._tell(event.size)
        self._leave_if_there_is_room()

    def on_screen_resume(self) -> None:
        self._leave_if_there_is_room()

    def _leave_if_there_is_room(self) -> None:
        """The size of now counts: an event may tell of one that has passed."""
        if fits(self.app.size):
            self.dismiss()

    def _tell(self, size: Size) -> None:
        self.query_one("#too-small", Static).update(
            Content.assemble(
                ("Please make the terminal larger\n", "bold"),
                (
                    f"now {size.width}×{size.height}, needs {LEAST_WIDTH}×{LEAST_HEIGHT}\n",
                    "$foreground-muted",
                ),
                ("the run is not disturbed", "$text-success"),
            )
        )
