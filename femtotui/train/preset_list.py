"""The list of presets, its filter, and the controllers that choose, mark and edit presets."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from femtotui.presets import Preset

from ..edit.edit_screen import EditAnswer, EditScreen
from ..runs.actions import RunActions, StatusMessage
from ..runs.choices import BrokenPreset
from ..runs.library import PresetVerdict, preset_verdicts
from ..runs.manager import RunManager
from ..runs.state import Status
from ..text.formats import Say, fitted, preset_parameters, short_title, size
from ..text.safe import unwrapped
from .header import MARKS

DIGIT_SECONDS = 1.0
"""How soon a second digit must follow: 1 may become 14."""

Verdicts = dict[str, PresetVerdict]
TITLE_WIDTH = 10
VERDICTS_HEAD = "author's, yours"
"""The meaning of the last two columns."""

_VERDICTS = {"success": ("✓", "$text-success"), "fail": ("✗", "$text-error")}
_BROKEN = "broken "
_OURS = MARKS | {Status.FINISHED: ("●", "$foreground-muted"), Status.FAILED: ("!", "$text-error")}


def preset_line(preset: Preset, status: Status | None, ours: PresetVerdict | None = None) -> Content:
    """One line of the list: status, key, title, size, the journal's verdict and ours."""
    mark, tone = _OURS[status] if status is not None else (" ", "")
    verdict, verdict_tone = _VERDICTS[preset.journal.verdict] if preset.journal is not None else (" ", "")
    our_verdict, our_tone = _VERDICTS[ours] if ours is not None else (" ", "")
    return Content.assemble(
        (mark, tone),
        *_name(preset),
        (f"{size(preset_parameters(preset)):>4}", "$foreground-muted"),
        " ",
        (verdict, verdict_tone),
        " ",
        (our_verdict, our_tone),
    )


def _name(preset: Preset) -> tuple[Content | str, ...]:
    """Key and title; only the title of a user preset, whose key is a word."""
    title = short_title(preset.title)
    if not preset.key.isdigit():
        return (f" {fitted(title, TITLE_WIDTH + 2)} ",)
    return (f"{preset.key:>2} {fitted(title, TITLE_WIDTH)} ",)


@dataclass
class PresetChosen(Message):
    """The user chose a preset from the list."""

    key: str


@dataclass
class PresetPointedAt(Message):
    """The cursor of the list is on a preset or, with an empty key, on a broken file and its problem."""

    key: str
    problem: str = ""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, PresetPointedAt)


@dataclass
class FilterClosed(Message):
    """The filter of the list is closed; with a key, that preset was chosen in it."""

    key: str = ""


class PresetList(OptionList):
    """Arrows, digits and a click point, Enter and a double click choose.

    Files that are no presets stand at the end, greyed, with the reason.
    """

    def __init__(self, presets: Sequence[Preset], broken: Sequence[BrokenPreset] = ()) -> None:
        super().__init__(id="presets")
        self.border_title = "presets"
        self._presets: dict[str, Preset] = {}
        self._broken: tuple[BrokenPreset, ...] = ()
        self._shown: dict[str, tuple[Status | None, PresetVerdict | None]] = {}
        self._filter = ""
        self.fill(presets, broken)

    def fill(self, presets: Sequence[Preset], broken: Sequence[BrokenPreset] = ()) -> None:
        """Show these, as far as the filter lets them through."""
        self._presets = {preset.key: preset for preset in presets}
        self._broken = tuple(broken)
        self._fill()

    def filter(self, words: str) -> None:
        """Show only presets in whose key, title, data, tokenizer or recipe each of the words occurs."""
        self._filter = words
        self._fill()

    def _fill(self) -> None:
        at = self.highlighted_key
        self.clear_options()
        shown = {key: preset for key, preset in self._presets.items() if matches(preset, self._filter)}
        self._shown = {key: self._shown.get(key, (None, None)) for key in shown}
        self.add_options(Option(preset_line(p, *self._shown[key]), id=key) for key, p in shown.items())
        if not self._filter:
            for index, broken in enumerate(self._broken):
                line = Content.styled(f"! {fitted(unwrapped(broken.path.name), 17)}", "$foreground-muted")
                self.add_option(Option(line, id=f"{_BROKEN}{index}"))
        self.border_subtitle = f"{len(shown)} of {len(self._presets)}" if self._filter else VERDICTS_HEAD
        if at in shown:
            self.point_at(at)
        elif shown:
            self.highlighted = 0

    @property
    def highlighted_key(self) -> str:
        """The preset under the cursor, or nothing."""
        option = self.highlighted_option
        return option.id if option is not None and option.id in self._presets else ""

    def mark(self, statuses: Mapping[str, Status], ours: Mapping[str, PresetVerdict]) -> None:
        """Show the status of each preset's run, and our verdict; only lines that change are drawn again."""
        for key, before in self._shown.items():
            now = (statuses.get(key), ours.get(key))
            if before != now:
                self._shown[key] = now
                self.replace_option_prompt(key, preset_line(self._presets[key], *now))

    def point_at(self, key: str) -> None:
        if key in self._shown:
            self.highlighted = self.get_option_index(key)

    async def _on_click(self, event: Click) -> None:
        """Point; OptionList itself would choose."""
        event.prevent_default()
        index = event.style.meta.get("option")
        if index is not None:
            self.highlighted = index
            if event.chain == 2:
                self.action_select()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_id is None:
            return
        if event.option_id.startswith(_BROKEN):
            broken = self._broken[int(event.option_id.removeprefix(_BROKEN))]
            self.post_message(PresetPointedAt("", f"{broken.path.name}: {broken.problem}"))
        else:
            self.post_message(PresetPointedAt(event.option_id))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_id is not None and event.option_id in self._presets:
            self.post_message(PresetChosen(event.option_id))


def matches(preset: Preset, words: str) -> bool:
    """Whether every word occurs somewhere in what is known of the preset."""
    known = f"{preset.key} {preset.title} {preset.tokenizer.kind} {preset.data.source} {preset.recipe}"
    return all(word in known.casefold() for word in words.casefold().split())


class PresetFilter(Input):
    """The line in which the list is filtered; there only while it is used."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "all presets", id="filter-leave"),
        Binding("down,up", "screen.presets_focus", show=False),
    ]

    def __init__(self, presets: PresetList, say: Say) -> None:
        super().__init__(placeholder="filter", id="preset-filter", compact=True)
        self._presets, self._say = presets, say

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._presets.filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._presets.highlighted_key:
            self._close(self._presets.highlighted_key)
        else:
            self._say(f"no preset has {event.value} in it", "warning")

    def action_leave(self) -> None:
        self._close("")

    def _close(self, key: str) -> None:
        self._presets.filter("")
        self.post_message(FilterClosed(key))
        self.remove()


class PresetMarks:
    """The status of each preset's run of this session, and our verdicts on all its runs; `show` gets both.

    `in_background(read, use)` reads in a thread and uses the result in the app's.
    """

    def __init__(
        self,
        manager: RunManager,
        in_background: Callable[[Callable[[], Verdicts], Callable[[Verdicts], None]], None],
        show: Callable[[dict[str, Status], Verdicts], None],
    ) -> None:
        self._manager, self._in_background, self._show = manager, in_background, show
        self._from_disk: Verdicts = {}

    def read_verdicts(self) -> None:
        self._in_background(lambda: preset_verdicts(self._manager.runs), self._use)

    def _use(self, verdicts: Verdicts) -> None:
        self._from_disk = verdicts
        self.update()

    def update(self) -> None:
        statuses: dict[str, Status] = {}
        verdicts = dict(self._from_disk)
        for key, handle in self._manager.handles.items():
            status, score = handle.state.status, handle.state.score
            is_saving = handle is not self._manager.current and status is Status.TRAINING
            statuses[key] = Status.PARKED if is_saving else status
            if score is not None and verdicts.get(key) != "success":
                verdicts[key] = score.verdict
        self._show(statuses, verdicts)


async def edit_preset(
    preset: Preset,
    actions: RunActions,
    ask: Callable[[EditScreen], Awaitable[EditAnswer | None]],
    do: Callable[[Callable[[], StatusMessage]], bool],
) -> str:
    """Open the edit form, and save or train what comes back: the key of the new or changed preset, or "".

    `ask` shows the form and returns the answer, `do` carries out an action and tells whether it succeeded.
    """
    answer = await ask(EditScreen(preset, actions.forecast_words))
    if answer is None:
        return ""
    edited = answer.preset
    if answer.wish in {"save", "save-train"} and not do(lambda: actions.save_preset(edited)):
        return ""
    if answer.wish in {"train", "save-train"}:
        do(lambda: actions.start_edited(edited))
    return edited.key


class PresetNumber:
    """The number of a preset, typed digit by digit: 1, and 14 if the 4 follows soon. Typing only points."""

    def __init__(self, keys: Callable[[], Iterable[str]], point_at: Callable[[str], None], say: Say) -> None:
        self._keys, self._point_at, self._say = keys, point_at, say
        self._typed, self._typed_at = "", -math.inf

    def type(self, digit: str) -> None:
        """Point at the preset of the digits typed lately, or else of this one."""
        now = time.monotonic()
        longer = self._typed + digit if now - self._typed_at < DIGIT_SECONDS else digit
        keys = tuple(self._keys())
        self._typed, self._typed_at = longer if longer in keys else digit, now
        if self._typed in keys:
            self._point_at(self._typed)
        else:
            self._say(f"there is no preset {self._typed}", "warning")

    def clear(self) -> None:
        """Forget the digits typed so far."""
        self._typed = ""
