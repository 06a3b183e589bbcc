"""The list of presets: how ours stands, key, short title, size, the journal's verdict and our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from femtotui.presets import Preset

from ..runs.choices import BrokenPreset
from ..runs.library import PresetVerdict
from ..runs.state import Status
from ..text.formats import preset_parameters, short_title, size
from ..text.safe import unwrapped

TITLE_WIDTH = 10
_VERDICTS = {"success": ("✓", "$text-success"), "fail": ("✗", "$text-error")}
_BROKEN = "broken "
_OURS = {
    Status.STARTING: ("◌", "$foreground-muted"),
    Status.TRAINING: ("●", "$text-success"),
    Status.PAUSED: ("‖", "$text-warning"),
    Status.PARKED: ("‖", "$text-warning"),
    Status.FINISHED: ("●", "$foreground-muted"),
    Status.FAILED: ("!", "$text-error"),
}


def preset_line(preset: Preset, status: Status | None, ours: PresetVerdict | None = None) -> Content:
    """One line of the list: its run of this session, key, title, size, the journal's verdict and our own."""
    mark, tone = _OURS[status] if status is not None else (" ", "")
    verdict, verdict_tone = _VERDICTS[preset.journal.verdict] if preset.journal is not None else (" ", "")
    our_verdict, our_tone = _VERDICTS[ours] if ours is not None else (" ", "")
    return Content.assemble(
        (mark, tone),
        *_name(preset),
        (f"{size(preset_parameters(preset)):>4}", "$foreground-muted"),
        " ",
        (verdict, verdict_tone),
        (our_verdict, our_tone),
    )


def _name(preset: Preset) -> tuple[Content | str, ...]:
    """Key and title; the keys of one's own are words, and their titles say enough."""
    title = short_title(preset.title)
    if not preset.key.isdigit():
        return (f" {_cut(title, TITLE_WIDTH + 2)} ",)
    return (f"{preset.key:>2} {_cut(title, TITLE_WIDTH)} ",)


def _cut(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"


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


class FilterLeft(Message):
    """The user has closed the filter of the list."""


class PresetList(OptionList):
    """Arrows and Enter choose. Files that are no presets stand at the end, greyed, with the reason."""

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
                line = Content.styled(f"! {_cut(unwrapped(broken.path.name), 17)}", "$foreground-muted")
                self.add_option(Option(line, id=f"{_BROKEN}{index}"))
        self.border_subtitle = f"{len(shown)} of {len(self._presets)}" if self._filter else ""
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
        """Show how each preset's run stands, and our verdict; only lines that change are drawn again."""
        for key, before in self._shown.items():
            now = (statuses.get(key), ours.get(key))
            if before != now:
                self._shown[key] = now
                self.replace_option_prompt(key, preset_line(self._presets[key], *now))

    def point_at(self, key: str) -> None:
        """Move the cursor to a preset."""
        if key in self._shown:
            self.highlighted = self.get_option_index(key)

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
    """The line in which the list is filtered; there only while somebody types in it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "all presets", id="filter-leave"),
        Binding("down,up", "screen.presets_focus", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(placeholder="filter", id="preset-filter", compact=True)

    def action_leave(self) -> None:
        """Show all presets again, and go."""
        self.post_message(FilterLeft())
        self.remove()
