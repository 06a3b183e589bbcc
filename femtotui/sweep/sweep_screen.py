"""A sweep while it goes on: its runs, best first, over their curves. Leaving does not disturb it."""

from __future__ import annotations

import os
import subprocess
import sys
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
from femtotui.core.files import open_own

from ..app.settings import Settings
from ..chart.chart_model import ChartData, Overlay
from ..chart.frame_data import MAX_OVERLAYS
from ..chart.glyphs import ASCII, Glyphs, choose_glyphs
from ..chart.loss_chart import LossChart
from ..chart.series import LossSeries
from ..text.formats import UNKNOWN, duration, loss, printable
from ..widgets.dialogs import HEIGHTS, WIDTHS, InTurn, TooSmallScreen, YesNo, fits
from ..widgets.tick import TickingApp
from .live import LOG_NAME, Watch
from .messages import Outcome, SweepReport
from .spec import SweepTrial, differing_names
from .sweep_folder import SweepFolder
from .sweep_table import ranked

_SMOOTHING = 0.5
"""Reports come once a second: more would lag far behind."""

COLUMNS = ("", "run", "state", "step", "loss", "val", "score", "left", "where")
_MARKS = {"waits": "·", "trains": "●", "finished": "✓", "stopped": "■", "failed": "!"}
_TONES = {"waits": "dim", "failed": "bold red", "trains": "bold"}


class SweepScreen(InTurn[None]):
    """A row a run. What a watcher may do is to stop runs, and to leave."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "stop", "stop", tooltip="Save this run and end it"),
        Binding("S", "stop_all", "stop all", tooltip="Save all runs and end the sweep"),
        Binding("l", "chart('toggle_log_y')", "linear/log"),
        Binding("x", "chart('toggle_x_axis')", "steps/time"),
        Binding("escape,q", "leave", "leave", tooltip="The sweep goes on without you"),
    ]
    DEFAULT_CSS = """
    SweepScreen {
        #sweep-box { height: 1fr; border: round $foreground 25%; border-title-color: $text-muted;
            border-subtitle-color: $text-muted; }
        #sweep-box:focus-within { border: round $accent; }
        #sweep-table { height: 1fr; background: transparent; }
        #sweep-table > .datatable--header { background: transparent; color: $text-muted; text-style: none; }
        #sweep-table > .datatable--cursor { color: $foreground; background: $primary 30%; text-style: bold; }
        #sweep-remark { height: 1; padding: 0 1; color: $text-muted; }
        #sweep-chart { height: 1fr; }
    }
    """

    def __init__(self, watch: Watch, glyphs: Glyphs) -> None:
        super().__init__()
        self._watch = watch
        self._glyphs = glyphs
        self._rows: list[Standing] = []
        self._led: bool | None = None
        self._table: DataTable[Text] = DataTable(id="sweep-table", cursor_type="row", zebra_stripes=False)
        self._chart = LossChart(id="sweep-chart")

    def compose(self) -> ComposeResult:
        with Vertical(id="sweep-box"):
            self._table.add_columns(*COLUMNS)
            yield self._table
            yield Static(id="sweep-remark", markup=False)
        self._chart.glyphs = self._glyphs
        self._chart.smoothing = _SMOOTHING
        yield self._chart
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._table.focus()
        self.tick()

    # -- what is shown ---------------------------------------------------------------------------------

    def tick(self) -> None:
        """Shows what is new, if anything is."""
        led = self._watch.is_led
        if not self._watch.look() and led == self._led and self._rows:
            return
        self._led = led
        here = self._here
        self._rows = standings(self._watch)
        self._table.clear()
        for row in self._rows:
            self._table.add_row(*row_cells(row))
        if here is not None:
            indices = [row.trial.index for row in self._rows]
            self._table.move_cursor(row=indices.index(here.trial.index))
        self._show_title()
        self._show_curves()

    def _show_title(self) -> None:
        box = self.query_one("#sweep-box")
        ended, n = len(self._watch.outcomes), len(self._rows)
        box.border_title = Content(f"sweep {self._watch.folder.name} · {ended}/{n} runs ended")
        spec = self._watch.folder.info.spec
        by = {"loss": "validation loss", "score": "task score", "time": "time to success"}[spec.rank_by]
        rule = f" · successive halving by {spec.halving}" if spec.halving else ""
        if self._led or ended == n:
            box.border_subtitle = Content(f"best {by} first{rule}")
        else:
            why = self._watch.last_words or "nobody goes on with it"
            words = f"{why}: femtotui sweep --resume {self._watch.folder.name}"
            box.border_subtitle = Content(printable(words))

    @on(DataTable.RowHighlighted)
    def _show_curves(self) -> None:
        """The curve of the run under the cursor, over those of the best others."""
        here, chart = self._here, self._chart
        self.query_one("#sweep-remark", Static).update(printable(here.remark) if here else "")
        if here is None:
            chart.show(ChartData())
            return
        chart.border_title = Content(printable(here.name))
        evals = [
            (report.step, report.val_loss)
            for report in self._watch.curves.get(here.trial.index, [])
            if report.val_loss is not None and report.step == report.eval_step
        ]
        chart.show(ChartData(LossSeries.of(*self._curve(here)), evals))
        others = [row for row in self._rows if row is not here and row.trial.index in self._watch.curves]
        chart.set_overlays([self._overlay(row) for row in others[:MAX_OVERLAYS]])

    def _overlay(self, row: Standing) -> Overlay:
        series = LossSeries.of(*self._curve(row))
        return Overlay(str(row.trial.index), printable(row.short_name), series, None)

    def _curve(self, row: Standing) -> tuple[list[int], list[float], list[float]]:
        points = [
            (report.step, report.loss, report.elapsed_s)
            for report in self._watch.curves.get(row.trial.index, [])
            if report.loss is not None
        ]
        steps, losses, seconds = zip(*points, strict=True) if points else ((), (), ())
        return list(steps), list(losses), list(seconds)

    @property
    def _here(self) -> Standing | None:
        at = self._table.cursor_row
        return self._rows[at] if 0 <= at < len(self._rows) else None

    # -- what can be done ------------------------------------------------------------------------------

    def action_stop(self) -> None:
        here = self._here
        if here is None or here.state not in ("waits", "trains"):
            self.notify("this run has ended", severity="warning")
        else:
            self._ask_to_stop([here])

    @work(exclusive=True)
    async def action_stop_all(self) -> None:
        left = [row for row in self._rows if row.state in ("waits", "trains")]
        if not left:
            return
        question = f"Stop {len(left)} runs? Each is saved as it is; those that wait do not begin."
        if await self.app.push_screen_wait(YesNo("stop the sweep", question, "Stop")):
            self._ask_to_stop(left)

    def _ask_to_stop(self, rows: Sequence[Standing]) -> None:
        if not self._watch.is_led:
            self.notify("nobody goes on with this sweep: there is nothing to stop", severity="warning")
            return
        try:
            self._watch.ask_to_stop(row.trial.index for row in rows)
            self.notify(f"asked {len(rows)} run{'' if len(rows) == 1 else 's'} to end")
        except FemtoError as error:
            self.notify(str(error), title=error.title, severity="error", markup=False)

    def action_chart(self, action: str) -> None:
        getattr(self._chart, f"action_{action}")()

    def action_leave(self) -> None:
        self.dismiss()


def row_cells(row: Standing) -> list[Text]:
    """One line of the table; nothing in it is obeyed."""
    steps = row.trial.config.train.steps
    figures = [
        f"{row.step:,}/{steps:,}",
        loss(row.loss),
        loss(row.val_loss),
        loss(row.score),
        UNKNOWN if row.seconds_left is None else duration(row.seconds_left),
    ]
    style = _TONES.get(row.state, "")
    return [
        Text(_MARKS[row.state], style=style),
        Text(printable(row.name), style=style),
        Text(row.state, style=style),
        *(Text(figure, justify="right", style=style) for figure in figures),
        Text(printable(row.worker), style=style),
    ]


@dataclass(frozen=True)
class Standing:
    """One run now. `state` is `waits`, `trains`, `finished`, `stopped` or `failed`.

    `name` are the settings that differ, with their values; `short_name` the values alone.
    """

    trial: SweepTrial
    name: str
    short_name: str
    state: str
    worker: str = ""
    step: int = 0
    loss: float | None = None
    val_loss: float | None = None
    score: float | None = None
    seconds_left: float | None = None
    remark: str = ""


def standings(watch: Watch) -> list[Standing]:
    """All runs, best first by what the sweep ranks by; those that wait come last."""
    info = watch.folder.info
    names = differing_names(info.trials)
    by_index = {trial.index: trial for trial in info.trials}
    known = [watch.outcomes.get(index) or _so_far(report) for index, report in watch.last.items()]
    known += [outcome for index, outcome in watch.outcomes.items() if index not in watch.last]
    order = [outcome.index for outcome in ranked(known, info.spec.rank_by)]
    order += [index for index in by_index if index not in order]
    return [
        _standing(by_index[index], names, watch.last.get(index), watch.outcomes.get(index), info.spec.seconds)
        for index in order
        if index in by_index
    ]


def _so_far(report: SweepReport) -> Outcome:
    """What would become of a run if it ended now, to be ranked beside those that have."""
    unit = "" if report.score is None else report.unit
    return Outcome(
        index=report.index, state="stopped", val_loss=report.val_loss, score=report.score, unit=unit
    )


def _standing(
    trial: SweepTrial,
    names: tuple[str, ...],
    report: SweepReport | None,
    outcome: Outcome | None,
    budget_s: float | None,
) -> Standing:
    values = {key: value for key, value in trial.differing().items() if key in names}
    name = " ".join(f"{key} {value}" for key, value in values.items())
    short = " ".join(map(str, values.values()))
    if outcome is not None:
        return Standing(
            trial,
            name,
            short,
            outcome.state,
            outcome.worker,
            outcome.step,
            outcome.train_loss,
            outcome.val_loss,
            outcome.score,
            remark=outcome.reason or outcome.note,
        )
    if report is None:
        return Standing(trial, name, short, "waits")
    return Standing(
        trial,
        name,
        short,
        "trains",
        report.worker,
        report.step,
        report.loss,
        report.val_loss,
        report.score,
        _seconds_left(report, budget_s),
    )


def _seconds_left(report: SweepReport, budget_s: float | None) -> float:
    by_steps = (report.steps - report.step) * report.ms / 1000
    return by_steps if budget_s is None else min(by_steps, max(0.0, budget_s - report.elapsed_s))


class SweepApp(TickingApp):
    """One screen; leaving it ends the app and nothing else."""

    TITLE = "femtotui sweep"
    CSS_PATH = "../app/femtotui.tcss"
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", "quit", show=False, priority=True)]

    def __init__(self, watch: Watch, settings: Settings | None = None) -> None:
        super().__init__()
        self._watch = watch
        self._settings = settings if settings is not None else Settings()

    def on_mount(self) -> None:
        glyphs = choose_glyphs(self._settings.chart)
        self.set_class(glyphs is ASCII, "-ascii")
        if self._settings.theme in self.available_themes:
            self.theme = self._settings.theme
        self.push_screen(SweepScreen(self._watch, glyphs), lambda _: self.exit())
        if not fits(self.size):
            self.push_screen(TooSmallScreen())

    def on_resize(self) -> None:
        if not fits(self.size) and not isinstance(self.screen, TooSmallScreen):
            self.push_screen(TooSmallScreen())


def start_leader(folder: SweepFolder, *options: str) -> subprocess.Popen[bytes]:
    """A process that goes on with the sweep, whatever becomes of this one; what it says goes to a log."""
    command = [sys.executable, "-P", "-m", "femtotui", "sweep", "--resume", folder.name]
    with open(folder.path / LOG_NAME, "ab", opener=open_own) as log:
        return subprocess.Popen(
            [*command, "--runs", str(folder.runs), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(os.environ),
            start_new_session=True,
            creationflags=_windows_flags(),
        )


def _windows_flags() -> int:
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    return 0
