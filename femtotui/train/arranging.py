"""What can be arranged round a training: presets found and edited, earlier runs laid over the chart."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.widgets import Input

from femtotui.core.errors import FemtoError
from femtotui.presets import Preset

from ..chart.chart_model import Overlay
from ..chart.glyphs import BRAILLE, Glyphs
from ..chart.loss_chart import LossChart
from ..edit.edit_screen import EditAnswer, EditScreen
from ..runs.library import PresetVerdict, RunRow, load_overlay, preset_verdicts, read_rows
from ..runs.runs_screen import RunsScreen
from ..runs.state import Status
from .choosing import ChoosingScreen
from .preset_list import FilterLeft, PresetFilter, PresetList, PresetPointedAt


class ArrangingScreen(ChoosingScreen):
    """A screen with a list of presets that can be filtered, and a chart that other runs can be laid over."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", id="filter", show=False, tooltip="Find a preset by typing"),
        Binding(
            "o",
            "overlay_last",
            "overlay",
            id="overlay",
            show=False,
            tooltip="Lay the run before over the chart",
        ),
    ]

    glyphs: Glyphs = BRAILLE
    laid_over: tuple[RunRow, ...] = ()
    _ours: dict[str, PresetVerdict] = {}  # noqa: RUF012  (replaced, never changed)

    # -- presets ---------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Type to find a preset."""
        self.show_presets()
        if not self.query(PresetFilter):
            self.query_one("#left").mount(PresetFilter(), before=0)
        self.query_one(PresetFilter).focus()

    def show_presets(self) -> None:
        """Bring the list into sight, where it is folded away."""

    def presets_left(self) -> None:
        """Called when nobody chooses any more."""

    @on(Input.Changed, "#preset-filter")
    def _filter_typed(self, event: Input.Changed) -> None:
        event.stop()
        self.query_one(PresetList).filter(event.value)

    @on(Input.Submitted, "#preset-filter")
    def _filter_entered(self, event: Input.Submitted) -> None:
        event.stop()
        key = self.query_one(PresetList).highlighted_key
        if not key:
            self.say(f"no preset has {event.value} in it", "warning")
            return
        self.query_one(PresetFilter).action_leave()
        self.query_one(PresetList).point_at(key)
        self.open_preset(key)

    @on(FilterLeft)
    def _filter_left(self) -> None:
        self.query_one(PresetList).filter("")
        self.action_presets_focus()

    def action_presets_focus(self) -> None:
        """Back to the list."""
        presets = self.query_one(PresetList)
        if presets.display:
            presets.focus()
        else:
            self.presets_left()

    @on(PresetPointedAt)
    def _pointed_at(self, message: PresetPointedAt) -> None:
        """Say what choosing it would take."""
        if not self.query_one(PresetList).has_focus:
            return
        if message.problem:
            self.say(message.problem, "warning")
        elif self.actions.current is None or message.key != self.actions.current.config.preset:
            news = self.actions.describe(message.key)
            self.say(news.words, news.tone)

    def reload_presets(self) -> None:
        """The list as it is now, one's own included."""
        self.presets = {preset.key: preset for preset in self.actions.choices.presets}
        self.query_one(PresetList).fill(tuple(self.presets.values()), self.actions.choices.broken)

    @work(thread=True, exclusive=True, group="verdicts")
    def read_our_verdicts(self) -> None:
        """Our own verdicts from the runs on disk, without keeping the screen waiting."""
        found = preset_verdicts(self.actions.manager.runs)
        self.app.call_from_thread(self._take_verdicts, found)

    def _take_verdicts(self, found: dict[str, PresetVerdict]) -> None:
        self._ours = found
        if self.query(PresetList):  # else the app has ended meanwhile
            self.mark_presets()

    def mark_presets(self) -> None:
        """Show in the list how each preset's run of this session stands, and our verdicts."""
        places, ours = self.actions.manager.handles, dict(self._ours)
        statuses = {key: place.state.status for key, place in places.items()}
        for key, place in places.items():
            if place is not self.actions.current and statuses[key] is Status.TRAINING:
                statuses[key] = Status.PARKED  # it is being saved
            if place.state.score is not None and ours.get(key) != "success":
                ours[key] = place.state.score.verdict
        self.query_one(PresetList).mark(statuses, ours)

    def preset_at_hand(self) -> Preset | None:
        """The preset under the cursor, or else the one that trains; says so if there is none."""
        key = self.query_one(PresetList).highlighted_key
        if not key and self.actions.current is not None:
            key = self.actions.current.config.preset
        preset = self.presets.get(key)
        if preset is None:
            self.say("choose a preset first", "warning")
        return preset

    # -- editing ---------------------------------------------------------------------------------------

    @work(exclusive=True, group="edit")
    async def action_edit(self) -> None:
        preset = self.preset_at_hand()
        if preset is None:
            return
        answer = await self.app.push_screen_wait(EditScreen(preset, self.actions.forecast_words))
        if answer is not None:
            self._edited(answer)

    def _edited(self, answer: EditAnswer) -> None:
        preset = answer.preset
        if answer.wish in {"save", "save-train"}:
            try:
                news = self.actions.save_preset(preset)
            except FemtoError as error:
                self.say(f"{error.title}: {error}", "error")
                return
            self.say(news.words, news.tone)
        if answer.wish in {"train", "save-train"}:
            self.steer(lambda: self.actions.start_edited(preset))
        self.reload_presets()
        self.mark_presets()
        self.query_one(PresetList).point_at(preset.key)

    # -- runs ------------------------------------------------------------------------------------------

    @work(exclusive=True, group="runs")
    async def action_runs(self) -> None:
        manager = self.actions.manager
        screen = RunsScreen(lambda: read_rows(manager.runs), manager.trash, self.glyphs, self._overlaid)
        answer = await self.app.push_screen_wait(screen)
        self.runs_changed()
        if answer is None:
            return
        self.lay_over(answer.marked)
        resume = answer.resume
        if resume is not None:
            self.steer(lambda: self.actions.continue_run(resume))

    def runs_changed(self) -> None:
        """Called when runs may have been renamed, noted or deleted."""

    def lay_over(self, rows: tuple[RunRow, ...]) -> None:
        """Draw these runs over the chart, and no others; the run that is on it is not laid over itself."""
        here = self.actions.current.state.run if self.actions.current is not None else None
        drawn: list[tuple[RunRow, Overlay]] = []
        for row in rows:
            if str(row.path) == here:
                continue
            try:
                drawn.append((row, load_overlay(row)))
            except FemtoError as error:
                self.say(str(error), "warning")
        self.laid_over = tuple(row for row, _ in drawn)
        self.query_one(LossChart).set_overlays([overlay for _, overlay in drawn])

    @property
    def _overlaid(self) -> tuple[str, ...]:
        """The folder names of the runs that are laid over the chart."""
        return tuple(row.path.name for row in self.laid_over)

    def action_overlay_last(self) -> None:
        """Lay the newest other run over the chart, if possible one of the same preset; or take all off."""
        if self._overlaid:
            self.lay_over(())
            self.say("only this run is on the chart")
            return
        current = self.actions.current
        try:
            rows = [
                row
                for row in read_rows(self.actions.manager.runs)
                if row.summary.info is not None and row.summary.step
            ]
        except FemtoError as error:
            self.say(str(error), "error")
            return
        here = current.state.run if current is not None else None
        rows = [row for row in rows if str(row.path) != here]
        same = [row for row in rows if current is not None and _preset_of(row) == current.config.preset]
        if not rows:
            self.say("there is no other run yet")
            return
        row = (same or rows)[0]
        self.lay_over((row,))
        self.say(f"{row.name} is on the chart too; u chooses others", "good")


def _preset_of(row: RunRow) -> str:
    return row.summary.info.config.preset if row.summary.info is not None else ""
