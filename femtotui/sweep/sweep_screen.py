"""The sweep screen: runs, best first, over their curves. Leaving it does not disturb the sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable, Footer, Static

from femtotui.core.errors import FemtoError

from ..chart.chart_model import ChartData
from ..chart.frame_data import MAX_OVERLAYS
from ..chart.glyphs import ASCII, Glyphs, GlyphsName, choose_glyphs
from ..chart.loss_chart import LossChart
from ..runs.library import chart_data, state_overlay
from ..text.formats import duration, loss, score
from ..text.safe import unwrapped
from ..widgets.dialogs import InTurn, YesNo
from ..widgets.help_screen import HelpScreen, Rows
from ..widgets.tick import TickingApp
from .messages import Outcome, RunFigures, SweepReport, ranked
from .spec import SweepTrial, Value, differing_settings
from .sweep_folder import SweepWatcher

_SMOOTHING = 0.5
"""Reports come once per second: more would lag far behind."""

COLUMNS = ("", "run", "state", "step", "loss", "val", "score", "left", "worker")
_MARKS = {"waiting": "·", "training": "●", "finished": "✓", "stopped": "■", "failed": "!"}
_STYLES = {"waiting": "dim", "failed": "bold red", "training": "bold"}


@dataclass(frozen=True)
class SweepRow:
    """One run now: the settings that differ, and its outcome or its last report."""

    trial: SweepTrial
    settings: dict[str, Value]
    figures: RunFigures
    seconds_left: float | None

    @property
    def name(self) -> str:
        return " ".join(f"{name} {value}" for name, value in self.settings.items())

    @property
    def outcome(self) -> Outcome | None:
        return self.figures if isinstance(self.figures, Outcome) else None

    @property
    def state(self) -> str:
        """`waiting`, `training`, `finished`, `stopped` or `failed`."""
        if self.outcome is not None:
            return self.outcome.state
        return "training" if isinstance(self.figures, SweepReport) else "waiting"


def sweep_rows(watcher: SweepWatcher) -> list[SweepRow]:
    """All runs, best first by the sweep's ranking; waiting ones last."""
    figures: dict[int, RunFigures] = {**watcher.reports, **watcher.outcomes}
    figures = {run.index: run for run in ranked(figures.values(), watcher.folder.info.spec.rank_by)}
    figures |= {index: RunFigures(index=index) for index in watcher.trials if index not in figures}
    settings, budget_s = differing_settings(watcher.folder.info.trials), watcher.folder.info.spec.seconds
    return [
        SweepRow(watcher.trials[index], settings[index], run, _seconds_left(run, budget_s))
        for index, run in figures.items()
    ]


def _seconds_left(run: RunFigures, budget_s: float | None) -> float | None:
    if not isinstance(run, SweepReport):
        return None
    left = (run.steps - run.step) * run.ms / 1000
    return left if budget_s is None else min(left, max(0.0, budget_s - run.elapsed_s))


def row_cells(row: SweepRow) -> list[Text]:
    """One line of the table; markup and control characters in it have no effect."""
    figures, style = row.figures, _STYLES.get(row.state, "")
    results = loss(figures.train_loss), loss(figures.val_loss), score(figures.score, figures.unit)
    steps = f"{figures.step:,}/{row.trial.config.train.steps:,}"
    numbers = (steps, *results, duration(row.seconds_left))
    return [
        *(Text(words, style=style) for words in (_MARKS[row.state], unwrapped(row.name), row.state)),
        *(Text(number, justify="right", style=style) for number in numbers),
        Text(unwrapped(figures.worker), style=style),
    ]


MEANINGS: Rows = (
    (
        "a row",
        "a run of the sweep: its settings, state, step, losses in nats per token, score, time left, worker",
    ),
    ("the order", "best first, by what the border says"),
    ("leaving", "does not stop the sweep"),
)


class SweepScreen(InTurn[None]):
    """A row per run. A watcher can stop runs, and leave."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "stop", "stop", tooltip="Save this run and end it"),
        Binding("S", "stop_all", "stop all", tooltip="Save all runs and end the sweep"),
        Binding("l", "chart('toggle_log_y')", "linear/log"),
        Binding("x", "chart('toggle_x_axis')", "steps/time"),
        Binding("question_mark", "help", "help", key_display="?", tooltip="This help"),
        Binding("escape,q", "leave", "leave", tooltip="The sweep continues without this screen"),
    ]
    DEFAULT_CSS = """
    SweepScreen {
        #sweep-box { height: 1fr; border: round $foreground 25%; border-title-color: $text-muted;
            border-subtitle-color: $text-muted; }
        #sweep-box:focus-within { border: round $accent; }
        #sweep-table { height: 1fr; background: transparent; }
        #sweep-table > .datatable--header { background: transparent; color: $text-muted; text-style: none; }
        #sweep-table > .datatable--cursor { color: $foreground; background: $primary 30%; text-style: bold; }
        #sweep-note { height: 1; padding: 0 1; color: $text-muted; }
        #sweep-chart { height: 1fr; }
    }
    """

    def __init__(self, watcher: SweepWatcher, glyphs: Glyphs) -> None:
        super().__init__()
        self._watcher = watcher
        self._rows: list[SweepRow] = []
        self._was_running: bool | None = None
        self._box, self._note = Vertical(id="sweep-box"), Static(id="sweep-note", markup=False)
        self._table: DataTable[Text] = DataTable(id="sweep-table", cursor_type="row", zebra_stripes=False)
        self._chart = LossChart("sweep-chart", glyphs, _SMOOTHING)

    def compose(self) -> ComposeResult:
        with self._box:
            self._table.add_columns(*COLUMNS)
            yield self._table
            yield self._note
        yield self._chart
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._table.focus()
        self.tick()

    def tick(self) -> None:
        """Show what is new, if anything is."""
        is_running = self._watcher.is_running
        if not self._watcher.read() and is_running == self._was_running and self._rows:
            return
        self._was_running = is_running
        selected = self._selected
        self._rows = sweep_rows(self._watcher)
        self._table.clear()
        for row in self._rows:
            self._table.add_row(*row_cells(row))
        if selected is not None:
            indices = [row.trial.index for row in self._rows]
            self._table.move_cursor(row=indices.index(selected.trial.index))
        self._show_title()
        self._show_curves()

    def _show_title(self) -> None:
        watcher, spec = self._watcher, self._watcher.folder.info.spec
        name, ended, n = watcher.folder.name, len(watcher.outcomes), len(self._rows)
        self._box.border_title = Content(f"sweep {name} · {ended}/{n} runs ended")
        if self._was_running or ended == n:
            by = {"loss": "validation loss", "score": "task score", "time": "time to success"}[spec.rank_by]
            rule = f" · successive halving by {spec.halving}" if spec.halving else ""
            self._box.border_subtitle = Content(f"best {by} first{rule}")
        else:
            why = watcher.last_error or "not running; resume it with"
            self._box.border_subtitle = Content(unwrapped(f"{why}: femtotui sweep --resume {name}"))

    @on(DataTable.RowHighlighted)
    def _show_curves(self) -> None:
        """The curve of the run under the cursor, over those of the best others."""
        selected, states = self._selected, self._watcher.states
        if selected is None:
            return
        index = selected.trial.index
        outcome = selected.outcome
        self._note.update(unwrapped(outcome.reason or outcome.note if outcome is not None else ""))
        self._chart.border_title = Content(unwrapped(selected.name))
        self._chart.show(chart_data(states[index], None) if index in states else ChartData())
        others = [row for row in self._rows if row is not selected and row.trial.index in states]
        named = [
            (" ".join(map(str, row.settings.values())), row.trial.index) for row in others[:MAX_OVERLAYS]
        ]
        self._chart.set_overlays([state_overlay(unwrapped(name), states[index]) for name, index in named])

    @property
    def _selected(self) -> SweepRow | None:
        at = self._table.cursor_row
        return self._rows[at] if 0 <= at < len(self._rows) else None

    # -- actions ---------------------------------------------------------------------------------------

    def action_stop(self) -> None:
        selected = self._selected
        if selected is None or selected.outcome is not None:
            self.notify("this run has ended", severity="warning")
        else:
            self._request_stop([selected])

    @work(exclusive=True)
    async def action_stop_all(self) -> None:
        left = [row for row in self._rows if row.outcome is None]
        if not left:
            return
        question = f"Stop {len(left)} runs? Each is saved as it is; waiting runs do not start."
        if await self.app.push_screen_wait(YesNo("stop the sweep", question, "Stop")):
            self._request_stop(left)

    def _request_stop(self, rows: Sequence[SweepRow]) -> None:
        if not self._watcher.is_running:
            self.notify("this sweep is not running: nothing to stop", severity="warning")
            return
        try:
            self._watcher.request_stop(row.trial.index for row in rows)
            self.notify(f"asked {len(rows)} run{'' if len(rows) == 1 else 's'} to end")
        except FemtoError as error:
            self.notify(str(error), title=error.title, severity="error", markup=False)

    def action_chart(self, action: str) -> None:
        getattr(self._chart, f"action_{action}")()

    def action_help(self) -> None:
        self.app.push_screen(HelpScreen.for_screen(self, MEANINGS))

    def action_leave(self) -> None:
        self.dismiss()


class SweepApp(TickingApp):
    """The sweep screen alone; leaving it ends the app and nothing else."""

    TITLE = "femtotui sweep"
    CSS_PATH = "../app/femtotui.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", "quit", show=False, priority=True)]

    def __init__(self, watcher: SweepWatcher, theme: str = "", chart: GlyphsName = "auto") -> None:
        super().__init__()
        self._watcher, self._glyphs = watcher, choose_glyphs(chart)
        if theme in self.available_themes:
            self.theme = theme

    def on_mount(self) -> None:
        self.set_class(self._glyphs is ASCII, "-ascii")
        self.push_screen(SweepScreen(self._watcher, self._glyphs), lambda _: self.exit())
