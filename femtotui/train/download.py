"""The one decision that needs a dialog: whether to download the English text."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static

from femtotui.core.errors import FemtoError
from femtotui.presets.sources import download_english

from ..text.safe import unwrapped
from ..widgets.dialogs import ModalInTurn

Answer = Literal["download", "stand-in", "cancel"]

_QUESTION = (
    "Presets 11 to 14 learn from femtoGPT's English text: one file of 1.1 MB from GitHub, "
    "checked against its checksum and kept for the next time.\n\n"
    "Without it they can train on a stand-in, the documentation that every Python carries; "
    "their losses then cannot be compared with the journal's."
)


@dataclass
class DownloadMoved(Message):
    """Bytes of the English text have arrived; posted from the downloading thread."""

    received: int
    total: int

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, DownloadMoved)


@dataclass
class DownloadEnded(Message):
    """The English text is stored, or `failure` says why not."""

    failure: str = ""


class EnglishQuestion(ModalInTurn[Answer]):
    """Download, use the stand-in, or stay with what trains now; `trouble` says why a download failed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer('cancel')", "Cancel"),
        Binding("d", "answer('download')", "Download", show=False),
        Binding("u", "answer('stand-in')", "Use the stand-in", show=False),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, trouble: str = "") -> None:
        super().__init__()
        self._title, self._trouble = title, trouble

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog") as dialog:
            dialog.border_title = Content(unwrapped(self._title))
            if self._trouble:
                yield Static(Content(unwrapped(self._trouble)), id="dialog-trouble")
            yield Static(_QUESTION)
            with Horizontal(id="dialog-buttons"):
                yield Button("Download", variant="primary", id="download", compact=True)
                yield Button("Use the stand-in", id="stand-in", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        match event.button.id:
            case "download":
                self.dismiss("download")
            case "stand-in":
                self.dismiss("stand-in")
            case _:
                self.dismiss("cancel")

    def action_answer(self, answer: Answer) -> None:
        self.dismiss(answer)


def start_download(post: Callable[[Message], object]) -> threading.Thread:
    """Download in a thread of its own; `post` gets DownloadMoved now and then, and DownloadEnded at the end.

    The thread is a daemon: a network that does not answer must not keep anybody from leaving.
    """

    def moved(received: int, total: int) -> None:
        post(DownloadMoved(received, total))

    def work() -> None:
        try:
            download_english(moved)
        except FemtoError as error:
            post(DownloadEnded(str(error)))
        else:
            post(DownloadEnded())

    thread = threading.Thread(target=work, name="download", daemon=True)
    thread.start()
    return thread
