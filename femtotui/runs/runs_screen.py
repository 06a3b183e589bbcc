"""All runs: their curves, and what can be done with them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable, Static

from femtotui.core.errors import FemtoError
from femtotui.core.run_folder.entry import write_note

from ..chart.chart_model import ChartData
from ..chart.frame_data import MAX_OVERLAYS
from ..chart.glyphs import Glyphs
from ..chart.loss_chart import LossChart
from ..text.formats import duration, loss
from ..text.safe import unwrapped
from ..widgets.dialogs import InTurn, TextQuestion, YesNo
from ..widgets.help_screen import HelpScreen
from ..widgets.help_screen import Rows as HelpRows
from ..widgets.key_line import KeyLine
from .compare_screen import CompareScreen
from .library import MAX_TITLE_LENGTH, RunRow, load_curve, load_overlay, write_title
from .trash import RunTrash

COLUMNS = ("", "run", "when", "step", "loss", "val", "time", "note")
Rows = Callable[[], list[RunRow]]


MEANINGS: HelpRows = (
    ("the table", "◆ laid over the chart, ● being trained now; … after a step: the run has steps left"),
    ("loss, val", "in nats per token, of the text trained on and of the validation text"),
    ("the chart", "the run under the cursor, with the marked ones laid over it"),
)


@dataclass(frozen=True)
class RunsAnswer:
    """The runs to lay over the chart, and one to resume, or to show if it has finished."""

    marked: tuple[RunRow, ...]
    open: RunRow | None = None


def _preset_order(row: RunRow) -> tuple[bool, str]:
    return row.summary.info is None, row.preset.zfill(40) if row.preset.isdigit() else row.preset


ORDERS: tuple[tuple[str, Callable[[RunRow], Any]], ...] = (
    ("newest first", lambda row: row.path.name),
    ("lowest loss first", lambda row: math.inf if row.known_loss is None else row.known_loss),
    ("by preset", _preset_order),
    ("most steps first", lambda row: -row.summary.step),
)
"""What the border says, and the key to sort by."""


def in_order(rows: list[RunRow], number: int) -> list[RunRow]:
    """Rows sorted by one of ORDERS; only newest first sorts in reverse."""
    return sorted(rows, key=ORDERS[number][1], reverse=number == 0)


class RunsScreen(InTurn[RunsAnswer]):
    """A table of runs over the curve of the one under the cursor, with the marked ones laid over it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="runs-open", tooltip="Show this run, and resume it if it can be"),
        Binding("space", "mark", "mark", id="runs-mark", tooltip="Overlay this run, or remove it"),
        Binding("c", "compare", "compare", id="runs-compare", tooltip="Compare with the marked run"),
        Binding("r", "resume", "resume", id="runs-resume", tooltip="Resume this run"),
        Binding("e", "rename", "rename", id="runs-rename", tooltip="Give this run a title"),
        Binding("t", "note", "note", id="runs-note", tooltip="Write a note on this run"),
        Binding("d,delete", "delete", "delete", id="runs-delete", tooltip="Delete this run"),
        Binding("u", "undo", "undo", id="runs-undo", tooltip="Restore the run deleted last"),
        Binding("o", "order", "order", id="runs-order", tooltip="Sort the runs in another way"),
        Binding("l", "chart('toggle_log_y')", "linear/log", show=False, id="loss-log"),
        Binding("x", "chart('toggle_x_axis')", "steps/time", show=False, id="loss-time"),
        Binding("b", "chart('toggle_unit')", "nats/bits", show=False, id="loss-bits"),
        Binding("question_mark", "help", "help", key_display="?", tooltip="This help"),
        Binding("escape,q", "leave", "back", id="runs-back"),
        Binding("home", "row(0)", show=False, priority=True, tooltip="The first run"),
        Binding("end", "row(-1)", show=False, priority=True, tooltip="The last run"),
    ]

    def __init__(self, rows: Rows, trash: RunTrash, glyphs: Glyphs, marked: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._read, self._trash, self._glyphs = rows, trash, glyphs
        self._rows: dict[str, RunRow] = {}
        self._marked = list(marked)
        self._order = 0
        self._on_chart: tuple[str, tuple[str, ...]] | None = None
        # Held, not looked up: a message of the table may come when the screen is being taken apart.
        self._table: DataTable[Text] = DataTable(id="runs-table", cursor_type="row", zebra_stripes=False)
        self._chart = LossChart("runs-chart", glyphs)
        self._chart.empty_text = "this run has no steps"

    def compose(self) -> ComposeResult:
        with Vertical(id="runs-box") as box:
            box.border_title = "runs"
            self._table.add_columns(*COLUMNS)
            yield self._table
            yield Static(id="runs-empty")
        yield self._chart
        yield KeyLine()

    def on_mount(self) -> None:
        self._table.focus()
        self._reload()

    # -- the table -------------------------------------------------------------------------------------

    def _reload(self, keep: str = "") -> None:
        keep = keep or (self._here.path.name if self._here is not None else "")
        try:
            rows = self._read()
        except FemtoError as error:
            self.notify(str(error), title=error.title, severity="error", markup=False)
            rows = []
        self._rows = {row.path.name: row for row in in_order(rows, self._order)}
        self._marked = [name for name in self._marked if name in self._rows]
        self._fill()
        self._table.move_cursor(row=list(self._rows).index(keep) if keep in self._rows else 0)
        self._show_curve()

    def _fill(self) -> None:
        table, at = self._table, self._table.cursor_row
        table.clear()
        for name, row in self._rows.items():
            table.add_row(*row_cells(row, name in self._marked), key=name)
        table.move_cursor(row=at)
        table.display = bool(self._rows)
        empty = self.query_one("#runs-empty", Static)
        empty.display = not self._rows
        empty.update("no runs yet")
        self.query_one("#runs-box").border_subtitle = ORDERS[self._order][0]

    @property
    def _here(self) -> RunRow | None:
        at = self._table.cursor_row
        return list(self._rows.values())[at] if 0 <= at < len(self._rows) else None

    def _marked_but(self, here: str = "") -> list[RunRow]:
        return [self._rows[name] for name in self._marked if name in self._rows and name != here]

    @on(DataTable.RowHighlighted)
    def _show_curve(self) -> None:
        row, chart = self._here, self._chart
        wanted = (row.path.name if row else "", tuple(self._marked))
        if wanted == self._on_chart:
            return
        self._on_chart = wanted
        chart.border_title = Content(unwrapped(row.name) if row is not None else "loss")
        chart.border_subtitle = Content(unwrapped(row.summary.problem or row.note) if row is not None else "")
        has_curve = row is not None and row.summary.info is not None
        chart.show(load_curve(row) if row is not None and has_curve else ChartData())
        chart.set_overlays([load_overlay(other) for other in self._marked_but(wanted[0])])

    # -- what can be done ------------------------------------------------------------------------------

    def _refuse(self, words: str) -> None:
        self.notify(words, severity="warning", markup=False)

    def action_mark(self) -> None:
        row = self._here
        if row is None or row.summary.info is None:
            return self._refuse("there is no curve to lay over the chart")
        name = row.path.name
        if name in self._marked:
            self._marked.remove(name)
        elif len(self._marked) == MAX_OVERLAYS:
            return self._refuse(f"no more than {MAX_OVERLAYS} runs at once")
        else:
            self._marked.append(name)
        self._fill()
        return self._show_curve()

    @on(DataTable.RowSelected)
    def action_open(self) -> None:
        """Show a run on the Train screen, and resume it if it can be."""
        row = self._here
        if row is not None and row.held:
            self._refuse("this run is being trained already")
        elif row is None or row.summary.info is None:
            self._refuse("this run is damaged: it cannot be shown")
        else:
            self.action_leave(row)

    def action_compare(self) -> None:
        here = self._here
        others = self._marked_but(here.path.name) if here is not None else []
        if here is None or here.summary.info is None or not others:
            self._refuse("mark one run with space, and go to another: those two are compared")
        else:
            self.app.push_screen(CompareScreen(others[-1], here, self._glyphs))

    def action_resume(self) -> None:
        row = self._here
        if row is not None and row.held:
            self._refuse("this run is being trained already")
        elif row is None or not row.summary.can_continue:
            self._refuse("this run cannot be resumed: it has finished, was never saved, or is damaged")
        else:
            self.action_leave(row)

    @work(exclusive=True)
    async def action_rename(self) -> None:
        row = self._here
        if row is None:
            return
        title = await self.app.push_screen_wait(
            TextQuestion("title of this run", row.title, MAX_TITLE_LENGTH)
        )
        if title is not None:
            self._do(lambda: write_title(row.path, title))

    @work(exclusive=True)
    async def action_note(self) -> None:
        row = self._here
        if row is None:
            return
        before = " ".join(row.note.split())
        note = await self.app.push_screen_wait(TextQuestion(f"note on {row.name}", before))
        if note is not None and note != before:
            self._do(lambda: write_note(row.path, note))

    @work(exclusive=True)
    async def action_delete(self) -> None:
        row = self._here
        if row is None:
            return
        what = f"{unwrapped(row.name)} at step {row.summary.step:,}"
        question = f"Delete {what}? u restores it until femtotui ends."
        if await self.app.push_screen_wait(YesNo("delete a run", question, "Delete")):
            self._do(lambda: self._trash.delete(row.path))

    def action_undo(self) -> None:
        if self._trash.last is None:
            self._refuse("nothing was deleted")
        else:
            self._do(self._trash.restore, keep=self._trash.last.name)

    def _do(self, deed: Callable[[], None], keep: str = "") -> None:
        try:
            deed()
        except FemtoError as error:
            self.notify(str(error), title=error.title, severity="error", markup=False)
        self._on_chart = None
        self._reload(keep)

    def action_order(self) -> None:
        self._order = (self._order + 1) % len(ORDERS)
        self._reload()

    def action_chart(self, action: str) -> None:
        getattr(self._chart, f"action_{action}")()

    def action_row(self, number: int) -> None:
        self._table.move_cursor(row=number % max(1, len(self._rows)))

    def action_help(self) -> None:
        self.app.push_screen(HelpScreen.for_screen(self, MEANINGS))

    def action_leave(self, opened: RunRow | None = None) -> None:
        self.dismiss(RunsAnswer(tuple(self._marked_but()), opened))


def row_cells(row: RunRow, marked: bool) -> list[Text]:
    """One line of the table; a damaged run shows the reason."""
    mark = Text("◆" if marked else "●" if row.held else " ", style="bold")
    summary = row.summary
    if summary.info is None:
        cells = ["damaged", row.path.name[:15], "", "", "", "", unwrapped(summary.problem)]
        return [Text("!"), *(Text(unwrapped(cell), style="dim") for cell in cells)]
    when = summary.info.created[5:16].replace("T", " ")
    step = f"{summary.step:,}{'' if summary.finished else ' …'}"
    figures = (step, loss(summary.loss), loss(summary.val_loss), duration(summary.elapsed_s))
    numbers = (Text(figure, justify="right") for figure in figures)
    return [mark, Text(unwrapped(row.name)), Text(when), *numbers, Text(unwrapped(row.note))]
