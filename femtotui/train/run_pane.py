"""The middle of the Train screen: panels, notice, charts or layers, scores of one run, and its samples."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget

from femtotui.core.machine import available_mib
from femtotui.presets import Preset

from ..chart.glyphs import Glyphs
from ..chart.loss_chart import LossChart
from ..chart.quantities import LOSS
from ..inspection.layers_panel import InspectionPace, LayersPanel
from ..runs.actions import RunActions, StatusMessage
from ..runs.library import chart_data, quantity_data
from ..runs.manager import RunHandle, RunManager
from ..runs.state import RunState, Status
from ..runs.verdict import Judge
from ..sampling.sample_pane import SamplePane
from ..sampling.stream import Pace
from ..text.formats import local_now
from ..trainer.protocol import SnapshotArrived
from ..widgets.tick import SLOW_TICKS
from .chart_tabs import TABS, tab_line
from .header import Notice, Summary
from .panels import PANELS, ScoreLine, StatPanel, panel_lines, ram_words, summary_facts


class RunPane(Vertical):
    """Shows a RunState: the numbers with `show`, whatever takes longer to draw with `show_slowly`."""

    def __init__(self, actions: RunActions, glyphs: Glyphs) -> None:
        super().__init__(id="main")
        self.chart = LossChart("chart", glyphs)
        self.layers_panel = LayersPanel("layers")
        self.layers_panel.display = False
        self.tab = 0
        self.inspection_pace = InspectionPace()
        self.samples = SamplePane(actions)
        self._judge = Judge()
        self._drawn: tuple[RunState | None, int] = (None, -1)
        self._ticks, self._has_points = 0, False

    def compose(self) -> ComposeResult:
        with Horizontal(id="panels"):
            for name in PANELS:
                yield StatPanel(name)
        yield Summary()
        yield Notice()
        yield self.chart
        yield self.layers_panel
        yield ScoreLine()
        yield self.samples

    def on_resize(self) -> None:
        corners = 6
        self.shown_panel.border_title = tab_line(self.tab, self.size.width - corners)

    @property
    def shown_panel(self) -> Widget:
        return self.layers_panel if TABS[self.tab].quantity is None else self.chart

    def choose_tab(self, number: int) -> None:
        """Show another panel in the place of the chart; it takes the focus over."""
        had_focus, self.tab = self.shown_panel.has_focus, number % len(TABS)
        self._drawn = (None, -1)
        for panel in (self.chart, self.layers_panel):
            panel.display = panel is self.shown_panel
        self.on_resize()
        if had_focus:
            self.shown_panel.focus()

    def show(self, state: RunState) -> None:
        self.query_one(Notice).show_run(state)
        free_mib = available_mib()
        for name, lines in panel_lines(state, local_now(), free_mib).items():
            self.query_one(f"#panel-{name.lower()}", StatPanel).update(*lines)
        self.query_one("#panel-ram").tooltip = Content(ram_words(state, free_mib))
        self.query_one(Summary).show_facts(summary_facts(state))
        self.query_one(ScoreLine).show_scores(state.scores)

    def show_slowly(self, state: RunState, preset: Preset | None) -> None:
        """Draw chart or layers every few ticks; at once the first points, and a run that does not train."""
        self._ticks += 1
        resting = self._ticks % SLOW_TICKS and state.status is Status.TRAINING
        is_first = state.step > 0 and not self._has_points
        if self._drawn == (state, state.version) or (self._drawn[0] is state and resting and not is_first):
            return
        self._drawn, self._has_points = (state, state.version), state.step > 0
        quantity = TABS[self.tab].quantity
        if quantity is None:
            self.layers_panel.show(state)
            return
        verdict = self._judge.verdict(state, preset)
        self.chart.show_verdict(verdict.words, verdict.tone)
        self.chart.show(chart_data(state, preset) if quantity is LOSS else quantity_data(state, quantity))


class LiveSamples:
    """Asks the trainer for snapshots, and has the pane sample from them."""

    def __init__(self, manager: RunManager, pane: SamplePane) -> None:
        self._manager, self._pane = manager, pane
        self.pace = Pace()
        self._state: RunState | None = None
        self._sampled: SnapshotArrived | None = None
        self._asked = False

    def update(self, handle: RunHandle) -> None:
        """Sample from a new snapshot, and ask for the next when it is due."""
        pane = self._pane
        if handle.state is not self._state:
            self._state, self._sampled, self._asked = handle.state, None, False
            pane.clear()
        if handle.snapshot is not None and handle.snapshot is not self._sampled:
            self._sample(handle.snapshot, asked=self._asked)
        if pane.can_show and self.pace.due(handle.state, drawing=pane.is_drawing):
            self._manager.ask_snapshot()

    def ask(self) -> StatusMessage | None:
        """Sample as the user asked, now or from the next snapshot; a message says why it is impossible."""
        handle = self._manager.current
        if handle is None or handle.state.started is None:
            return StatusMessage("nothing to sample from yet")
        if handle.snapshot is not None:
            self._sample(handle.snapshot, asked=True)
        elif self._manager.ask_snapshot():
            self._asked = True
        else:
            return StatusMessage("this run left no parameters to sample from", "warning")
        return None

    def _sample(self, snapshot: SnapshotArrived, *, asked: bool) -> None:
        self._sampled = snapshot
        if asked or not self._pane.is_read:
            self._asked = False
            self._pane.sample(asked=asked)
