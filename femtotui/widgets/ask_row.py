"""One question at the bottom of a screen, with one line to answer in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static


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
