"""The middle of the Train screen: panels, notice, chart, scores and samples of one run."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content

from femtotui.core.machine import available_mib
from femtotui.presets import Preset

from ..chart.glyphs import Glyphs
from ..chart.loss_chart import LossChart
from ..runs.actions import RunActions
from ..runs.library import chart_data
from ..runs.state import RunState, Status
from ..runs.verdict import Judge
from ..sampling.sample_pane import SamplePane
from ..text.formats import local_now
from ..widgets.tick import SLOW_TICKS
from .header import Notice, Summary
from .panels import PANELS, ScoreLine, StatPanel, panel_lines, ram_words, summary_facts


class RunPane(Vertical):
    """Shows a RunState: the numbers with `show`, whatever takes longer to draw with `show_slowly`."""

    def __init__(self, actions: RunActions, glyphs: Glyphs) -> None:
        super().__init__(id="main")
        self.chart = LossChart("chart", glyphs)
        self.samples = SamplePane(actions)
        self._judge = Judge()
        self._drawn: tuple[RunState | None, int] = (None, -1)
        self._ticks = 0

    def compose(self) -> ComposeResult:
        with Horizontal(id="panels"):
            for name in PANELS:
                yield StatPanel(name, id=f"panel-{name.lower()}")
        yield Summary()
        yield Notice()
        yield self.chart
        yield ScoreLine()
        yield self.samples

    def show(self, state: RunState) -> None:
        """Show the numbers of a run."""
        self.query_one(Notice).show_run(state)
        free_mib = available_mib()
        for name, lines in panel_lines(state, local_now(), free_mib).items():
            self.query_one(f"#panel-{name.lower()}", StatPanel).update(*lines)
        self.query_one("#panel-ram").tooltip = Content(ram_words(state, free_mib))
        self.query_one(Summary).show_facts(summary_facts(state))
        self.query_one(ScoreLine).show_scores(state.scores)

    def show_slowly(self, state: RunState, preset: Preset | None) -> bool:
        """Draw chart and verdict every few ticks, at once if the run does not train; whether it did."""
        self._ticks += 1
        resting = self._ticks % SLOW_TICKS and state.status is Status.TRAINING
        if self._drawn == (state, state.version) or (self._drawn[0] is state and resting):
            return False
        self._drawn = (state, state.version)
        verdict = self._judge.verdict(state, preset)
        self.chart.show_verdict(verdict.words, verdict.tone)
        self.chart.show(chart_data(state, preset))
        return True
