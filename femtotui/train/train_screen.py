"""The Train screen: what the current run does, and the keys that steer it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content

from femtotui.core.machine import available_mib, rss_mib

from ..chart.loss_chart import LossChart
from ..journal.journal_screen import JournalScreen
from ..runs.actions import RunActions
from ..runs.library import chart_data
from ..runs.run_list import RunList
from ..runs.state import RunState, Status
from ..runs.verdict import Judge, too_early_words
from ..sampling.fields import Prompt
from ..sampling.sample_pane import SampleAsked, SamplePane
from ..sampling.sample_screen import SampleScreen
from ..sampling.stream import Pace
from ..text.formats import local_now
from ..trainer.protocol import SnapshotArrived
from ..widgets.help_screen import HelpScreen
from ..widgets.key_line import KeyLine
from ..widgets.tick import SLOW_TICKS
from .contesting import ContestingScreen
from .glancing import GlancingScreen
from .header import Header, Notice, StatusLine, Summary
from .panels import (
    PANELS,
    ScoreLine,
    StatPanel,
    figures_line,
    panel_lines,
    ram_words,
    summary_facts,
)
from .preset_list import PresetChosen, PresetList
from .train_help import MEANINGS, TOPICS

_NOT_ASKED = -1


class TrainScreen(ContestingScreen, GlancingScreen):
    """Shows the manager's current run. RunState has what is known of it, RunActions what can be done."""

    AUTO_FOCUS = ""  # where nothing is focused, every key is a command

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "pause", id="pause", tooltip="Pause; a pause saves the run"),
        Binding("space", "resume", "resume", id="pause", tooltip="Go on after a pause"),
        Binding("r", "recover", "resume run", id="recover", tooltip="Resume from the last checkpoint"),
        Binding("s", "sample", "sample", id="sample", tooltip="The sampling screen"),
        Binding("n", "anew", "new run", id="new", tooltip="A new run of this preset, with a new seed"),
        Binding("e", "edit", "edit", id="edit", tooltip="Change this preset, and keep it as your own"),
        Binding("u", "runs", "runs", id="runs", tooltip="All runs: compare, overlay, rename, resume"),
        Binding(
            "question_mark", "help", "help", key_display="?", id="help", tooltip="Explain the focused panel"
        ),
        Binding("q", "app.quit", "quit", id="quit", tooltip="Save and leave"),
        Binding("c", "checkpoint", "checkpoint", id="checkpoint", tooltip="Save a checkpoint now"),
        Binding("d", "detach", "detach", id="detach", tooltip="Leave; the training goes on"),
        Binding("j", "journal", "journal", id="journal", tooltip="The journal entry of this run"),
        Binding("p", "presets", "presets", id="presets", tooltip="Show or hide the presets"),
        Binding("g", "chart", "chart", show=False, id="chart", tooltip="Move to the chart: zoom, read, pan"),
        Binding(
            "l", "log_axis", "linear/log", show=False, id="loss-log", tooltip="Linear or logarithmic loss"
        ),
        Binding(
            "x",
            "time_axis",
            "steps/time",
            show=False,
            id="loss-time",
            tooltip="Steps or time along the chart",
        ),
        Binding("b", "unit", "nats/bits", show=False, id="loss-bits", tooltip="Nats a token or bits a byte"),
        Binding(
            "plus", "smooth(1)", "smoother", show=False, id="loss-smoother", tooltip="Smooth the curve more"
        ),
        Binding(
            "minus", "smooth(-1)", "rougher", show=False, id="loss-rougher", tooltip="Smooth the curve less"
        ),
        Binding("escape", "leave", "back", show=False, id="back"),
    ]

    def __init__(self, actions: RunActions) -> None:
        super().__init__(actions)
        self._pace = Pace()
        self._shown: RunState | None = None
        self._last_status: Status | None = None
        self._asked = False
        self._saved_before: int | None = _NOT_ASKED
        self._version = -1
        self._ticks = 0
        self._sampled: SnapshotArrived | None = None
        self._followed: RunState | None = None
        self._slowly_shown: tuple[RunState, int] | None = None
        self._judge = Judge()

    def compose(self) -> ComposeResult:
        yield Header()
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield PresetList(tuple(self.presets.values()), self.actions.choices.broken)
                yield RunList()
            with Vertical(id="main"):
                with Horizontal(id="panels"):
                    for name in PANELS:
                        yield StatPanel(name, id=f"panel-{name.lower()}")
                yield Summary()
                yield Notice()
                yield LossChart(id="chart")
                yield ScoreLine()
                yield SamplePane(self.actions)
        yield StatusLine()
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(LossChart).glyphs = self.glyphs
        self.read_our_verdicts()
        self.open_preset(self.actions.choices.opening.key)

    def on_resize(self) -> None:
        self.call_after_refresh(self._focus_list_in_sight)

    def _focus_list_in_sight(self) -> None:
        if self.focused is None and self._list_in_sight:
            self.query_one(PresetList).focus()

    # -- showing ---------------------------------------------------------------------------------------

    def show_saving(self) -> None:
        """Say that the runs are being saved before the program ends."""
        self.query_one(Header).show_saving()
        self.say("saving…", "warning")

    def tick(self) -> None:
        """Bring the screen up to date with the current run."""
        self._ticks += 1
        self.mark_presets()
        self.glance()
        handle = self.actions.current
        if handle is not None:
            if handle.state is not self._shown or handle.state.version != self._version:
                self._show_state(handle.state)
            self._show_slowly(handle.state)

    def background_tick(self) -> None:
        """Do what continues under other screens: measure memory, draw samples, tell of a new status."""
        handle = self.actions.current
        if handle is None:
            return
        state, other = handle.state, handle.state is not self._followed
        if other:
            self._followed, self._last_status = state, None
            self._asked, self._saved_before = False, _NOT_ASKED
            self._sample_pane.clear()
        state.record_memory(rss_mib())
        if handle.snapshot is not None and (other or handle.snapshot is not self._sampled):
            self._sampled = handle.snapshot
            self._sample(asked=self._asked)
        if state.status is not self._last_status:
            self._status_changed(state)
        if self._saved_before not in {_NOT_ASKED, state.checkpoint_step}:
            self._saved_before = _NOT_ASKED
            self.say(f"step {state.checkpoint_step or 0:,} is saved", "good")
        pane = self._sample_pane
        if pane.can_show and self._pace.due(state, drawing=pane.is_drawing):
            self.actions.manager.ask_snapshot()

    def on_screen_resume(self) -> None:
        """Catch up with what happened under another screen."""
        if self.is_mounted:
            self.tick()

    def _show_state(self, state: RunState) -> None:
        if self._shown is None or self._shown.config.preset != state.config.preset:
            self.query_one(PresetList).point_at(state.config.preset)
        self._shown, self._version = state, state.version
        self.query_one(Header).show_run(state)
        self.query_one(Notice).show_run(state)
        self._show_panels(state)
        self.query_one(Summary).show_facts(summary_facts(state))
        self.query_one(ScoreLine).show_scores(state.scores)

    def _show_slowly(self, state: RunState) -> None:
        """Draw what takes longer, every few ticks while it trains: figures, verdict and chart."""
        shown = (state, state.version)
        same_run = self._slowly_shown is not None and self._slowly_shown[0] is state
        resting = self._ticks % SLOW_TICKS and state.status is Status.TRAINING
        if shown == self._slowly_shown or (same_run and resting):
            return
        self._slowly_shown = shown
        preset, chart = self.presets.get(state.config.preset), self.query_one(LossChart)
        self.query_one(StatusLine).show_figures(figures_line(state))
        verdict = self._judge.verdict(state, preset)
        chart.show_verdict(verdict.words, verdict.tone)
        chart.show(chart_data(state, preset))

    def _show_panels(self, state: RunState) -> None:
        now, free_mib = local_now(), available_mib()
        for name, lines in panel_lines(state, now, free_mib).items():
            self.query_one(f"#panel-{name.lower()}", StatPanel).update(*lines)
        self.query_one("#panel-ram").tooltip = Content(ram_words(state, free_mib))

    def _status_changed(self, state: RunState) -> None:
        before, self._last_status = self._last_status, state.status
        self.refresh_bindings()
        match state.status:
            case Status.PAUSED:
                early = too_early_words(state)
                self.say(
                    f"paused at step {state.step:,}; the run is saved{early and ' · ' + early}", "warning"
                )
            case Status.FINISHED if before is not None:
                self.read_our_verdicts()
                self.say(f"finished after {state.step:,} steps; n starts a new run", "good")
            case Status.FAILED if before is not None and state.failure is not None:
                self.say(f"{state.failure.title} at step {state.step:,}", "error")
                self.app.bell()
            case Status.TRAINING if before is Status.PAUSED:
                self.say("resumed", "good")

    def steered(self) -> None:
        self.background_tick()
        self.tick()
        self.refresh_bindings()

    @on(PresetChosen)
    def _fold_list_away(self) -> None:
        if not self._list_in_sight:
            self.action_leave()

    # -- keys ------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        del parameters
        status = self._shown.status if self._shown is not None else None
        offered = {
            "pause": status in {Status.STARTING, Status.TRAINING},
            "resume": status is Status.PAUSED,
            "recover": self._shown is not None and self.actions.can_resume,
            "detach": status in {Status.TRAINING, Status.PAUSED},
        }
        return offered.get(action, True)

    def action_pause(self) -> None:
        self.steer(self.actions.pause)

    def action_resume(self) -> None:
        self.steer(self.actions.resume)

    def action_recover(self) -> None:
        self.steer(self.actions.resume_failed)

    def action_anew(self) -> None:
        self.steer(self.actions.new_run)

    def action_checkpoint(self) -> None:
        self._saved_before = self._shown.checkpoint_step if self._shown is not None else _NOT_ASKED
        self.steer(self.actions.checkpoint)

    def action_detach(self) -> None:
        self.steer(self.actions.detach)

    def action_journal(self) -> None:
        place = self.actions.current
        if place is None or place.state.run is None:
            self.say("no entry yet: the run is still starting")
            return
        self.app.push_screen(JournalScreen(Path(place.state.run), self.presets[place.config.preset]))

    def action_log_axis(self) -> None:
        self.query_one(LossChart).action_toggle_log_y()

    def action_time_axis(self) -> None:
        self.query_one(LossChart).action_toggle_x_axis()

    def action_unit(self) -> None:
        self.query_one(LossChart).action_toggle_unit()

    def action_smooth(self, direction: int) -> None:
        self.query_one(LossChart).action_smooth(direction)

    def action_help(self) -> None:
        self.app.push_screen(HelpScreen.for_screen(self, MEANINGS, TOPICS))

    def action_chart(self) -> None:
        self.query_one(LossChart).focus()

    def show_presets(self) -> None:
        if not self._list_in_sight or self.has_class("-presets-open"):
            self.set_class(not self._list_in_sight, "-presets-open")

    def presets_left(self) -> None:
        self.action_leave()

    def action_presets(self) -> None:
        self.toggle_class("-presets-open")
        presets = self.query_one(PresetList)
        self.call_after_refresh(lambda: presets.focus() if presets.display else self.action_leave())

    def action_leave(self) -> None:
        """Back from wherever the keys go, to the list of presets where that is in sight."""
        chart = self.query_one(LossChart)
        if chart.has_focus and chart.reads:
            chart.action_hide_cursor()
            return
        self.remove_class("-presets-open", "-sampling")
        self.set_focus(self.query_one(PresetList) if self._list_in_sight else None)

    @property
    def _list_in_sight(self) -> bool:
        return self.has_class("-wide") or self.has_class("-huge")

    # -- sampling --------------------------------------------------------------------------------------

    @property
    def _sample_pane(self) -> SamplePane:
        return self.query_one(SamplePane)

    async def action_sample(self) -> None:
        pane = self._sample_pane
        screen = SampleScreen(self.actions, pane.newest, pane.timelapse, self._pace, pane.prompt)
        await self.app.push_screen(screen)  # keys typed meanwhile wait, and go to its prompt
        screen.query_one(Prompt).focus()

    def on_sample_asked(self, message: SampleAsked) -> None:
        message.stop()
        place = self.actions.current
        if place is None or place.state.started is None:
            self.say("nothing to sample from yet")
        elif place.snapshot is not None:
            self._sample(asked=True)
        elif self.actions.manager.ask_snapshot():
            self._asked = True
        else:
            self.say("this run left no parameters to sample from", "warning")

    def _sample(self, *, asked: bool) -> None:
        place = self.actions.current
        if place is None or place.snapshot is None or (self._sample_pane.is_read and not asked):
            return
        self._asked = False
        self._sample_pane.sample(asked=asked)
