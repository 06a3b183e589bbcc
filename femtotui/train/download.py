"""The English text: the question whether to download it, and the download."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from threading import Thread
from typing import ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Button, Static

from femtotui.core.errors import FemtoError
from femtotui.presets.sources import download_english

from ..runs.actions import RunActions
from ..text.formats import Say
from ..text.safe import unwrapped
from ..widgets.dialogs import Question

Answer = Literal["download", "stand-in", "cancel"]

_QUESTION = (
    "Presets 11 to 14 learn from femtoGPT's English text: one file of 1.1 MB from GitHub, "
    "checked against its checksum and kept for the next time.\n\n"
    "Without it they can train on a stand-in, the documentation that every Python carries; "
    "their losses then cannot be compared with the journal's."
)


class EnglishQuestion(Question[Answer]):
    """Download, use the stand-in, or stay with what trains now; `trouble` says why a download failed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss('cancel')", "Cancel"),
        Binding("d", "dismiss('download')", "Download", show=False),
        Binding("u", "dismiss('stand-in')", "Use the stand-in", show=False),
    ]

    def __init__(self, title: str, trouble: str = "") -> None:
        text = [Static(Content(unwrapped(trouble)), id="dialog-trouble")] if trouble else []
        answers: dict[Button, Answer] = {
            Button("Download", variant="primary", compact=True): "download",
            Button("Use the stand-in", compact=True): "stand-in",
            Button("Cancel", compact=True): "cancel",
        }
        super().__init__(title, [*text, Static(_QUESTION)], answers)


class EnglishDownload:
    """Starts presets; asks first where a missing English text should come from, and downloads it.

    Whoever chose the stand-in once is not asked again.

    `ask` shows a question and returns the answer, `train` starts a preset, `reopen` calls `open` again,
    `call_later(callback, *arguments)` runs a callback of the downloading thread in the app's.
    """

    def __init__(
        self,
        actions: RunActions,
        ask: Callable[[EnglishQuestion], Awaitable[Answer]],
        train: Callable[[str], object],
        reopen: Callable[[str, str], object],
        call_later: Callable[..., object],
        say: Say,
    ) -> None:
        self._actions, self._say = actions, say
        self._ask, self._train, self._reopen, self._call_later = ask, train, reopen, call_later
        self._wanted = ""
        self._stand_in_will_do = False
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
        if must_ask and (trouble or not self._stand_in_will_do):
            title = self._actions.choices.preset(key).title
            answer = await self._ask(EnglishQuestion(f"#{key} {title}", trouble))
            self._stand_in_will_do = answer == "stand-in"
        if answer == "download":
            self._download(key)
        elif answer == "stand-in":
            self._train(key)
        else:
            self._say("nothing has changed", "plain")

    def _download(self, key: str) -> None:
        if not self._downloading_for:
            # A daemon: a network that does not answer must not keep the program from ending.
            Thread(target=self._fetch, name="download", daemon=True).start()
        self._downloading_for = key
        self._say("downloading the English text…", "plain")

    def _fetch(self) -> None:
        def progress(received: int, total: int) -> None:
            self._call_later(self.moved, received, total)

        failure = ""
        try:
            download_english(progress)
        except FemtoError as error:
            failure = str(error)
        self._call_later(self.ended, failure)

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
