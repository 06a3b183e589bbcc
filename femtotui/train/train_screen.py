"""The Train screen: the state of the current run, and the keys that control it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, TypeVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen

from femtotui.core.errors import FemtoError
from femtotui.core.machine import rss_mib
from femtotui.presets import Preset

from ..chart.chart_model import Overlay
from ..chart.glyphs import Glyphs
from ..inspection.weights_screen import WeightsScreen
from ..runs.actions import RunActions, StatusMessage
from ..runs.journal_screen import JournalScreen
from ..runs.library import RunRow, read_rows
from ..runs.run_list import Glance, RunChosen, RunList, RunListUpdater, RunPointedAt, run_words
from ..runs.runs_screen import RunsScreen
from ..runs.state import RunState, Status
from ..sampling.fields import Prompt
from ..sampling.sample_pane import SampleAsked
from ..sampling.sample_screen import SampleScreen
from ..text.formats import Tone
from ..widgets.help_screen import HelpScreen
from ..widgets.key_line import KeyLine
from .download import EnglishDownload
from .header import Header, RunNews, StatusLine
from .open_experiments import OpenExperiments
from .overlays import Overlays
from .panels import MEANINGS, TOPICS, figures_line
from .preset_list import (
    FilterClosed,
    PresetChosen,
    PresetFilter,
    PresetList,
    PresetMarks,
    PresetNumber,
    PresetPointedAt,
    edit_preset,
)
from .run_pane import LiveSamples, RunPane

_Found = TypeVar("_Found")
_hidden = partial(Binding, show=False)
NEXT_PANEL = "In the chart's place: loss, learning rate, gradient norm, throughput, layers"


class TrainScreen(Screen[None]):
    """Shows the manager's current run. The keys are passed on to RunActions and to the objects made below."""

    AUTO_FOCUS = ""  # where nothing is focused, every key is a command
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(digit, f"digit('{digit}')", show=False) for digit in "0123456789"),
        Binding("space", "steer('pause')", "pause", id="pause", tooltip="Pause; a pause saves the run"),
        Binding("space", "steer('resume')", "resume", id="pause", tooltip="Resume after a pause"),
        Binding(
            "r", "steer('resume_failed')", "resume run", id="recover", tooltip="Resume from a checkpoint"
        ),
        Binding("s", "sample", "sample", id="sample", tooltip="The sampling screen"),
        _hidden(
            "i", "inside", "inside", id="inside", tooltip="Look inside the model at the sample shown here"
        ),
        Binding("n", "steer('new_run')", "new run", id="new", tooltip="Start this preset with a new seed"),
        Binding("e", "edit", "edit", id="edit", tooltip="Edit this preset, and save it as a preset of yours"),
        Binding("u", "runs", "runs", id="runs", tooltip="All runs: compare, overlay, rename, resume"),
        Binding(
            "question_mark", "help", "help", key_display="?", id="help", tooltip="Explain the focused panel"
        ),
        Binding("t", "next_panel(1)", "panel", id="panel-next", tooltip=NEXT_PANEL),
        _hidden("T", "next_panel(-1)", id="panel-previous", tooltip="Back to the previous of these panels"),
        Binding("q", "app.quit", "quit", id="quit", tooltip="Save and leave"),
        Binding("c", "checkpoint", "checkpoint", id="checkpoint", tooltip="Save a checkpoint now"),
        Binding("d", "steer('detach')", "detach", id="detach", tooltip="Leave; the training continues"),
        Binding("j", "journal", "journal", id="journal", tooltip="The journal entry of this run"),
        Binding("p", "presets", "presets", id="presets", tooltip="Show or hide the presets"),
        _hidden("slash", "filter", "filter", id="filter", tooltip="Find a preset by typing"),
        _hidden("o", "overlay_last", "overlay", id="overlay", tooltip="Overlay the previous run"),
        _hidden("v", "race", "race", id="race", tooltip="Race the journal's recipe against ours"),
        _hidden(
            "w", "why_layers", "why layers", id="why-layers", tooltip="Why did more layers make it worse?"
        ),
        _hidden("W", "weights", "weights", id="weights", tooltip="The weights: a map of any tensor"),
        _hidden("m", "sweep", "sweep", id="sweep", tooltip="Watch the newest sweep: many runs, best first"),
        _hidden("g", "chart_focus", "chart", id="chart", tooltip="Move to the chart: zoom, read, pan"),
        _hidden("l", "chart('toggle_log_y')", "linear/log", id="loss-log", tooltip="Linear or log loss"),
        _hidden("x", "chart('toggle_x_axis')", "steps/time", id="loss-time", tooltip="Steps or time"),
        _hidden("b", "chart('toggle_unit')", "nats/bits", id="loss-bits", tooltip="Nats/token or bits/byte"),
        _hidden("plus", "chart('smooth', 1)", "smoother", id="loss-smoother", tooltip="Smoother curve"),
        _hidden("minus", "chart('smooth', -1)", "rougher", id="loss-rougher", tooltip="Rougher curve"),
        _hidden("escape", "leave", "back", id="back"),
    ]

    def __init__(self, actions: RunActions, glyphs: Glyphs) -> None:
        super().__init__()
        self.actions, self.glyphs = actions, glyphs
        self.presets = {preset.key: preset for preset in actions.choices.presets}
        self._list = PresetList(tuple(self.presets.values()), actions.choices.broken)
        manager, self._run_list, self._pane = actions.manager, RunList(), RunPane(actions, glyphs)
        self._number = PresetNumber(lambda: self.presets, self._list.point_at, self.say)
        self._english = EnglishDownload(
            actions, self._ask, self._start, self.open_preset, self.call_later, self.say
        )
        self.overlays = Overlays(manager, self._draw_overlays, self.say)
        self.experiments = OpenExperiments(actions, glyphs, self._ask, self.say)
        self._runs = RunListUpdater(manager, partial(self._in_background, "runs-list"), self._show_runs)
        self._marks = PresetMarks(manager, partial(self._in_background, "verdicts"), self._list.mark)
        self._samples = LiveSamples(manager, self._pane.samples)
        self._news = RunNews()
        self._shown: tuple[RunState | None, int] = (None, -1)

    def compose(self) -> ComposeResult:
        yield Header()
        yield Horizontal(Vertical(self._list, self._run_list, id="left"), self._pane, id="body")
        yield StatusLine()
        yield KeyLine()

    def on_mount(self) -> None:
        self._marks.read_verdicts()
        choices = self.actions.choices
        if choices.run is None and choices.trains:
            self.open_preset(choices.opening.key)
        else:
            self._list.point_at(choices.opening.key)
            self._do(self.actions.open)

    def on_resize(self) -> None:
        self.call_after_refresh(self._focus_list_in_sight)

    def _focus_list_in_sight(self) -> None:
        if self.focused is None and self._list_in_sight:
            self._list.focus()

    def _in_background(self, group: str, read: Callable[[], _Found], use: Callable[[_Found], None]) -> None:
        """Read in a thread, so that the screen does not wait, and use the result unless the app has ended."""

        def work() -> None:
            found = read()
            self.app.call_from_thread(lambda: use(found) if self.query(RunList) else None)

        self.run_worker(work, thread=True, exclusive=True, group=group)

    async def _ask(self, screen: Screen[_Found]) -> _Found:
        return await self.app.push_screen_wait(screen)

    # -- showing ---------------------------------------------------------------------------------------

    def say(self, words: str, tone: Tone = "plain") -> None:
        self.query_one(StatusLine).say(words, tone)

    def _show_message(self, message: StatusMessage | None) -> None:
        if message is not None:
            self.say(message.words, message.tone)

    def show_saving(self) -> None:
        self.query_one(Header).show_saving()
        self.say("saving…", "warning")

    def tick(self) -> None:
        """Bring the screen up to date with the current run."""
        self._marks.update()
        self._runs.update()
        handle = self.actions.current
        if handle is None:
            return
        state, before = handle.state, self._shown[0]
        if self._shown != (state, state.version):
            self._shown = (state, state.version)
            if before is None or before.config.preset != state.config.preset:
                self._list.point_at(state.config.preset)
            self.query_one(Header).show_run(state)
            self._pane.show(state)
            self.query_one(StatusLine).show_figures(figures_line(state))
        if self._pane.inspection_pace.due(state, in_sight=self._pane.shown_panel is self._pane.layers_panel):
            self.actions.manager.inspect_step()
        self._pane.show_slowly(state, self.presets.get(state.config.preset))

    def background_tick(self) -> None:
        """Continue under other screens: measure memory, draw samples, report a new status."""
        handle = self.actions.current
        if handle is None:
            return
        state = handle.state
        state.record_memory(rss_mib())
        self._samples.update(handle)
        before = self._news.status_of(state)
        for message in self._news.update(state):
            self._show_message(message)
        if before is not state.status:
            self.refresh_bindings()
            if before and state.status is Status.FINISHED:
                self._marks.read_verdicts()
            if before and state.status in {Status.FAILED, Status.FINISHED}:
                self.app.bell()

    def on_screen_resume(self) -> None:
        """Catch up with what happened under another screen."""
        if self.is_mounted:
            self.tick()

    # -- steering --------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        status = self.actions.status
        offered = {
            "pause": status in {Status.STARTING, Status.TRAINING},
            "resume": status is Status.PAUSED,
            "resume_failed": self.actions.can_resume,
            "detach": status in {Status.TRAINING, Status.PAUSED},
        }
        if action == "checkpoint":
            return status in {Status.TRAINING, Status.PAUSED}
        return offered.get(str(parameters[0]), True) if action == "steer" else True

    def _do(self, action: Callable[[], StatusMessage]) -> bool:
        """Carry out an action and show its message; False if it raised, which changes nothing."""
        try:
            message = action()
        except FemtoError as error:
            self.say(f"{error.title}: {error}", "error")
            return False
        self._show_message(message)
        self.background_tick()
        self.tick()
        self.refresh_bindings()
        return True

    def action_steer(self, name: str) -> None:
        self._do(getattr(self.actions, name))

    def action_checkpoint(self) -> None:
        self._news.expect_checkpoint()
        self._do(self.actions.checkpoint)

    def action_chart(self, action: str, *arguments: int) -> None:
        getattr(self._pane.chart, f"action_{action}")(*arguments)

    def action_chart_focus(self) -> None:
        self._pane.shown_panel.focus()

    def action_panel(self, number: int) -> None:
        self._pane.choose_tab(number)
        self.tick()

    def action_next_panel(self, by: int) -> None:
        self.action_panel(self._pane.tab + by)

    def action_leave(self) -> None:
        """Back from whichever widget has the focus, to the list of presets where that is in sight."""
        chart = self._pane.chart
        if chart.has_focus and chart.reads:
            chart.action_hide_cursor()
        else:
            self.remove_class("-presets-open")
            self.set_focus(self._list if self._list_in_sight else None)

    # -- presets ---------------------------------------------------------------------------------------

    @work(exclusive=True, group="choose")
    async def open_preset(self, key: str, trouble: str = "") -> None:
        """Train a preset, after asking where its text should come from if that is open."""
        await self._english.open(key, trouble)

    def _start(self, key: str) -> None:
        self._do(lambda: self.actions.start_preset(key))

    def action_digit(self, digit: str) -> None:
        """Point at a preset, in the list: Enter trains it there."""
        self.set_class(not self._list_in_sight, "-presets-open")
        self._list.focus()
        self._number.type(digit)

    def on_preset_chosen(self, message: PresetChosen) -> None:
        self._number.clear()
        self.open_preset(message.key)
        if not self._list_in_sight:
            self.action_leave()

    @on(PresetPointedAt)
    def _preset_pointed_at(self, message: PresetPointedAt) -> None:
        """Say what training the preset under the cursor would take."""
        if not self._list.has_focus:
            return
        if message.problem:
            self.say(message.problem, "warning")
        elif self.actions.current is None or message.key != self.actions.current.config.preset:
            self._show_message(self.actions.describe(message.key))

    @property
    def _list_in_sight(self) -> bool:
        return self.has_class("-wide") or self.has_class("-huge")

    def action_presets(self) -> None:
        self.toggle_class("-presets-open")
        self.call_after_refresh(self.action_presets_focus)

    def action_presets_focus(self) -> None:
        """Focus the list, or leave where it is folded away."""
        if self._list.display:
            self._list.focus()
        else:
            self.action_leave()

    def action_filter(self) -> None:
        """Type to find a preset; the list is unfolded for it."""
        self.set_class(not self._list_in_sight, "-presets-open")
        if not self.query(PresetFilter):
            self.query_one("#left").mount(PresetFilter(self._list, self.say), before=0)
        self.query_one(PresetFilter).focus()

    def on_filter_closed(self, message: FilterClosed) -> None:
        self.action_presets_focus()
        if message.key:
            self._list.point_at(message.key)
            self.open_preset(message.key)

    def _selected_preset(self) -> Preset | None:
        """The preset under the list's cursor, or the one that trains where that is elsewhere."""
        key = self._list.highlighted_key if self._list.has_focus else ""
        if not key and self.actions.current is not None:
            key = self.actions.current.config.preset
        preset = self.presets.get(key)
        if preset is None:
            self.say("choose a preset first", "warning")
        return preset

    @work(exclusive=True, group="edit")
    async def action_edit(self) -> None:
        preset = self._selected_preset()
        changed = await edit_preset(preset, self.actions, self._ask, self._do) if preset is not None else ""
        if changed:
            self.presets = {preset.key: preset for preset in self.actions.choices.presets}
            self._list.fill(tuple(self.presets.values()), self.actions.choices.broken)
            self._marks.update()
            self._list.point_at(changed)

    # -- runs ------------------------------------------------------------------------------------------

    def _show_runs(self, rows: tuple[RunRow, ...]) -> None:
        here = self.actions.manager.current_folder
        self._run_list.show(Glance(rows, here.name if here else "", self.overlays.names))

    def _draw_overlays(self, overlays: Sequence[Overlay]) -> None:
        self._pane.chart.set_overlays(overlays)
        self._show_runs(self._runs.rows)

    def action_overlay_last(self) -> None:
        self._show_message(self.overlays.toggle_newest())

    @on(RunChosen)
    def _run_chosen(self, message: RunChosen) -> None:
        self._show_message(self.overlays.toggle(message.row))

    @on(RunPointedAt)
    def _run_pointed_at(self, message: RunPointedAt) -> None:
        if self._run_list.has_focus:
            self.say(run_words(message.row), "plain" if message.row.summary.info is not None else "warning")

    @work(exclusive=True, group="runs")
    async def action_runs(self) -> None:
        manager = self.actions.manager
        screen = RunsScreen(lambda: read_rows(manager.runs), manager.trash, self.glyphs, self.overlays.names)
        answer = await self.app.push_screen_wait(screen)
        self._runs.reload()
        if answer is not None:
            self.overlays.show(answer.marked)
            if answer.open is not None:
                self._do(partial(self.actions.open_run, answer.open.summary))

    # -- other screens ---------------------------------------------------------------------------------

    @work(exclusive=True, group="experiment")
    async def action_race(self) -> None:
        preset = self._selected_preset()
        if preset is not None:
            await self.experiments.race(preset)

    @work(exclusive=True, group="experiment")
    async def action_why_layers(self) -> None:
        await self.experiments.why_layers()

    def action_sweep(self) -> None:
        screen = self.experiments.newest_sweep()
        if screen is not None:
            self.app.push_screen(screen)

    def action_weights(self) -> None:
        self.app.push_screen(WeightsScreen(self.actions))

    def action_journal(self) -> None:
        folder, current = self.actions.manager.current_folder, self.actions.current
        if folder is None or current is None:
            self.say("no entry yet: the run is still starting")
        else:
            self.app.push_screen(JournalScreen(folder, self.presets[current.config.preset]))

    def action_help(self) -> None:
        self.app.push_screen(HelpScreen.for_screen(self, MEANINGS, TOPICS))

    async def action_sample(self) -> SampleScreen:
        pane = self._pane.samples
        screen = SampleScreen(self.actions, pane.newest, pane.timelapse, self._samples.pace, pane.prompt)
        await self.app.push_screen(screen)  # keys typed meanwhile wait, and go to its prompt
        screen.query_one(Prompt).focus()
        return screen

    async def action_inside(self) -> None:
        """Open the sampling screen on the sample that is shown, and look inside the model."""
        shown = self._pane.samples.shown
        if shown is None:
            self.say("no sample yet to look into", "warning")
        else:
            (await self.action_sample()).look_into(*shown)

    def on_sample_asked(self, message: SampleAsked) -> None:
        message.stop()
        self._show_message(self._samples.ask())
