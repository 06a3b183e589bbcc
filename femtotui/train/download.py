"""The English text: the question whether to download it, and the download."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from femtotui.core.errors import FemtoError
from femtotui.presets.sources import download_english

from ..runs.actions import RunActions
from ..text.formats import Say
from ..text.safe import unwrapped
from ..widgets.dialogs import ModalInTurn

Answer = Literal["download", "stand-in", "cancel"]

_QUESTION = (
    "Presets 11 to 14 learn from femtoGPT's English text: one file of 1.1 MB from GitHub, "
    "checked against its checksum and kept for the next time.\n\n"
    "Without it they can train on a stand-in, the documentation that every Python carries; "
    "their losses then cannot be compared with the journal's."
)


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


def start_download(moved: Callable[[int, int], None], ended: Callable[[str], object]) -> threading.Thread:
    """Download in a thread of its own: `moved(received, total)` now and then, `ended(failure)` at the end.

    The thread is a daemon: a network that does not answer must not keep the program from ending.
    """

    def work() -> None:
        try:
            download_english(moved)
        except FemtoError as error:
            ended(str(error))
        else:
            ended("")

    thread = threading.Thread(target=work, name="download", daemon=True)
    thread.start()
    return thread


class EnglishDownload:
    """Starts presets; asks first where a missing English text should come from, and downloads it.

    `ask` shows a question and returns the answer, `train` starts a preset, `reopen` calls `open` again,
    `call_later(callback, *arguments)` runs a callback of the downloading thread in the app's.
    """

    def __init__(
        self,
        actions: RunActions,
        *,
        ask: Callable[[EnglishQuestion], Awaitable[Answer]],
        train: Callable[[str], object],
        reopen: Callable[[str, str], object],
        call_later: Callable[..., object],
        say: Say,
    ) -> None:
        self._actions, self._say = actions, say
        self._ask, self._train, self._reopen, self._call_later = ask, train, reopen, call_later
        self._wanted = ""
        self._downloading_for = ""

    async def open(self, key: str, trouble: str = "") -> None:
        """Train a preset, after asking for the text if that is needed; `trouble` is why a download failed."""
        self._wanted = key
        try:
            must_ask = self._actions.needs_english(key)
        except FemtoError as error:
            self._say(f"{error.title}: {error}", "error")
            return
        answer: Answer = "stand-in"
        if must_ask:
            title = self._actions.choices.preset(key).title
            answer = await self._ask(EnglishQuestion(f"#{key} {title}", trouble))
        if answer == "download":
            self._download(key)
        elif answer == "stand-in":
            self._train(key)
        else:
            self._say("nothing has changed", "plain")

    def _download(self, key: str) -> None:
        if not self._downloading_for:

            def moved(received: int, total: int) -> None:
                self._call_later(self.moved, received, total)

            start_download(moved, lambda failure: self._call_later(self.ended, failure))
        self._downloading_for = key
        self._say("downloading the English text…", "plain")

    def moved(self, received: int, total: int) -> None:
        """Say how far the download is."""
        share = f"{received / total:.0%} of " if total else ""
        megabytes = max(total, received) / 1e6
        self._say(f"downloading the English text: {share}{megabytes:.1f} MB", "plain")

    def ended(self, failure: str) -> None:
        """Train the preset that waits for the text, unless another one was chosen meanwhile."""
        key, self._downloading_for = self._downloading_for, ""
        if key == self._wanted:
            self._reopen(key, failure)
        elif failure:
            self._say(failure, "warning")
        else:
            self._say(f"the English text is here: {key} trains on it", "good")
