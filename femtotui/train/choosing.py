"""How a preset is chosen: from the list or by its number, with the one question that may have to be asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.timer import Timer

from femtotui.core.errors import FemtoError

from ..runs.actions import RunActions, StatusMessage
from ..text.formats import Tone
from .download import Answer, DownloadEnded, DownloadMoved, EnglishQuestion, start_download
from .header import StatusLine
from .preset_list import PresetChosen, PresetList

DIGIT_SECONDS = 0.6
"""How long a digit waits for a second one: 1 may become 14."""


class ChoosingScreen(Screen[None]):
    """A screen with a PresetList and a StatusLine, on which presets are chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(digit, f"digit('{digit}')", show=False) for digit in "0123456789"
    ]

    def __init__(self, actions: RunActions) -> None:
        super().__init__()
        self.actions = actions
        self.presets = {preset.key: preset for preset in actions.choices.presets}
        self._wanted = ""
        self._downloading_for = ""
        self._typed = ""
        self._digit_timer: Timer | None = None

    def say(self, words: str, tone: Tone = "plain") -> None:
        """Put one line of news above the keys."""
        self.query_one(StatusLine).say(words, tone)

    def steered(self) -> None:
        """Called after a wish was granted: what is shown may have changed."""

    def steer(self, wish: Callable[[], StatusMessage]) -> None:
        """Do what is wished and say what came of it; a wish that cannot be granted changes nothing."""
        try:
            news = wish()
        except FemtoError as error:
            self.say(f"{error.title}: {error}", "error")
            return
        self.say(news.words, news.tone)
        self.steered()

    @work(exclusive=True, group="choose")
    async def open_preset(self, key: str, trouble: str = "") -> None:
        """Train a preset, after asking where its text should come from if that is open."""
        self._wanted = key
        try:
            must_ask = self.actions.needs_english(key)
        except FemtoError as error:
            self.say(f"{error.title}: {error}", "error")
            return
        answer: Answer = "stand-in"
        if must_ask:
            question = EnglishQuestion(f"#{key} {self.presets[key].title}", trouble)
            answer = await self.app.push_screen_wait(question)
        if answer == "download":
            self._download(key)
        elif answer == "stand-in":
            self.steer(lambda: self.actions.start_preset(key))
        else:
            self.say("nothing has changed")

    def on_preset_chosen(self, message: PresetChosen) -> None:
        self._take_digits()
        self.open_preset(message.key)

    # -- the English text ------------------------------------------------------------------------------

    def _download(self, key: str) -> None:
        if not self._downloading_for:
            start_download(self.post_message)
        self._downloading_for = key
        self.say("downloading the English text…")

    def on_download_moved(self, message: DownloadMoved) -> None:
        share = f"{message.received / message.total:.0%} of " if message.total else ""
        megabytes = max(message.total, message.received) / 1e6
        self.say(f"downloading the English text: {share}{megabytes:.1f} MB")

    def on_download_ended(self, message: DownloadEnded) -> None:
        key, self._downloading_for = self._downloading_for, ""
        if key == self._wanted:
            self.open_preset(key, message.failure)
        elif message.failure:
            self.say(message.failure, "warning")
        else:
            self.say(f"the English text is here: {key} trains on it", "good")

    # -- by number -------------------------------------------------------------------------------------

    def action_digit(self, digit: str) -> None:
        """Choose by number; a digit that could be the first of two waits a moment."""
        self._typed = self._take_digits() + digit
        matches = [key for key in self.presets if key.startswith(self._typed)]
        if matches == [self._typed] or not matches:
            self._digits_done()
            return
        self.query_one(PresetList).point_at(self._typed)
        self.say(f"preset {self._typed}…")
        self._digit_timer = self.set_timer(DIGIT_SECONDS, self._digits_done)

    def _take_digits(self) -> str:
        """What has been typed so far; nothing waits any more."""
        if self._digit_timer is not None:
            self._digit_timer.stop()
        typed, self._typed, self._digit_timer = self._typed, "", None
        return typed

    def _digits_done(self) -> None:
        key = self._take_digits()
        if key in self.presets:
            self.open_preset(key)
        else:
            self.say(f"there is no preset {key}", "warning")
