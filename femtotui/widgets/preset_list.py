"""The list of presets: key, short title, size, the journal's verdict, and how ours stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from femtotui.presets import Preset

from ..messages import PresetChosen
from ..run_view import Status
from ..wording import preset_parameters, short_title, size

TITLE_WIDTH = 10
_VERDICTS = {"success": ("✓", "$text-success"), "fail": ("✗", "$text-error")}
_OURS = {
    Status.STARTING: ("◌", "$foreground-muted"),
    Status.TRAINING: ("●", "$text-success"),
    Status.PAUSED: ("‖", "$text-warning"),
    Status.PARKED: ("‖", "$text-warning"),
    Status.FINISHED: ("●", "$foreground-muted"),
    Status.FAILED: ("!", "$text-error"),
}


def preset_line(preset: Preset, status: Status | None) -> Content:
    """One line of the list: ours (a mark), key, title, size, and what the journal thought of it."""
    mark, tone = _OURS[status] if status is not None else (" ", "")
    verdict, verdict_tone = _VERDICTS[preset.journal.verdict] if preset.journal is not None else (" ", "")
    title = short_title(preset.title)
    title = title if len(title) <= TITLE_WIDTH else f"{title[: TITLE_WIDTH - 1]}…"
    return Content.assemble(
        (mark, tone),
        f"{preset.key:>2} {title:<{TITLE_WIDTH}} ",
        (f"{size(preset_parameters(preset)):>4}", "$foreground-muted"),
        " ",
        (verdict, verdict_tone),
    )


class PresetList(OptionList):
    """Arrows and Enter choose; the mark at the left shows how each preset's run of this session stands."""

    def __init__(self, presets: Sequence[Preset]) -> None:
        super().__init__(id="presets")
        self.border_title = "presets"
        self._presets = {preset.key: preset for preset in presets}
        self._shown: dict[str, Status | None] = {}
        for preset in presets:
            self._shown[preset.key] = None
            self.add_option(Option(preset_line(preset, None), id=preset.key))

    def mark(self, statuses: Mapping[str, Status]) -> None:
        """Show how each preset's run stands; only lines that change are drawn again."""
        for key, preset in self._presets.items():
            status = statuses.get(key)
            if self._shown[key] is not status:
                self._shown[key] = status
                self.replace_option_prompt(key, preset_line(preset, status))

    def point_at(self, key: str) -> None:
        """Move the cursor to a preset."""
        if key in self._presets:
            self.highlighted = self.get_option_index(key)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_id is not None:
            self.post_message(PresetChosen(event.option_id))
