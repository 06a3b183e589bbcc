"""The list of the newest runs: status, title or preset and time, loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from femtotui.core.errors import FemtoError

from ..text.formats import duration, fitted, loss
from ..text.safe import unwrapped
from .library import RunRow, read_rows
from .manager import RunManager
from .state import Status

NEWEST = 40
"""Length of the list; the runs screen shows all."""

NAME_WIDTH = 14
_KEY_WIDTH = 8
_OVERLAY_TONES = (
    "$text-success",
    "$text-error",
    "$foreground 80%",
    "$text-secondary",
    "$text-accent",
    "$foreground",
)
"""The chart's colours for the runs laid over it, in order."""


Rows = tuple[RunRow, ...]


@dataclass(frozen=True)
class Glance:
    """The runs to show: the newest rows, the folder name of the one on the chart, and those laid over it."""

    rows: Rows = ()
    current: str = ""
    overlaid: tuple[str, ...] = ()


def run_line(row: RunRow, glance: Glance) -> Content:
    """One line of the list: mark, title or preset and time, loss on text that is never trained on."""
    name = row.path.name
    mark = _mark(row)
    if name in glance.overlaid:
        mark = "◆", _OVERLAY_TONES[glance.overlaid.index(name) % len(_OVERLAY_TONES)]
    here = name == glance.current
    value = "" if row.known_loss is None else f"{row.known_loss:.3f}"
    figure = (f"{'now' if here and row.held else value:>6}", "$foreground-muted")
    return Content.assemble(mark, " ", (fitted(_name(row), NAME_WIDTH), "bold" if here else ""), figure)


def run_words(row: RunRow) -> str:
    """A longer description of a run, for the status line."""
    summary = row.summary
    if summary.info is None:
        return f"{row.path.name} is damaged: {summary.problem}"
    figures = f"step {summary.step:,} of {summary.info.config.train.steps:,} · loss {loss(summary.loss)}"
    note = f" · {' '.join(row.note.split())}" if row.note else ""
    return f"{row.name} · {figures} · val {loss(summary.val_loss)} · {duration(summary.elapsed_s)}{note}"


def _mark(row: RunRow) -> tuple[str, str]:
    if row.summary.info is None:
        return "!", "$text-error"
    if row.held:
        return "●", "$text-success"
    if row.summary.finished:
        return "✓", "$text-success"
    return ("‖", "$text-warning") if row.summary.can_continue else ("–", "$foreground-muted")


def _name(row: RunRow) -> str:
    info = row.summary.info
    if row.title or info is None:
        return unwrapped(row.name)
    when, key = unwrapped(info.created[5:16].replace("T", " ")), unwrapped(info.config.preset)
    return f"{key:>2} {when}" if key.isdigit() else f"{fitted(key, _KEY_WIDTH)} {when[6:]}"


@dataclass
class RunPointedAt(Message):
    """The cursor of the list of runs is on this one."""

    row: RunRow

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, RunPointedAt)


@dataclass
class RunChosen(Message):
    """The user chose a run from the list."""

    row: RunRow


class RunList(OptionList):
    """Arrows point at a run, Enter or a click chooses it. Only lines that change are drawn again."""

    def __init__(self) -> None:
        super().__init__(id="run-list")
        self.border_title = "runs"
        self._runs: dict[str, RunRow] = {}
        self._shown: dict[str, Content] = {}

    def show(self, glance: Glance) -> None:
        """Show these runs; the cursor stays on the one it is on."""
        lines = {row.path.name: run_line(row, glance) for row in glance.rows}
        before, self._shown = self._shown, lines
        self._runs = {row.path.name: row for row in glance.rows}
        if list(before) == list(lines):
            for name, line in lines.items():
                if line != before[name]:
                    self.replace_option_prompt(name, line)
            return
        at = self.highlighted_option.id if self.highlighted_option is not None else None
        self.clear_options()
        self.add_options(Option(line, id=name) for name, line in lines.items())
        if at in lines:
            self.highlighted = list(lines).index(at)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_id in self._runs:
            self.post_message(RunPointedAt(self._runs[event.option_id]))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_id in self._runs:
            self.post_message(RunChosen(self._runs[event.option_id]))


class RunListUpdater:
    """Reads the newest runs again whenever a run of this session starts, ends or is saved and parked.

    `in_background(read, use)` reads in a thread and uses the result in the app's; `show` gets the rows.
    """

    def __init__(
        self,
        manager: RunManager,
        in_background: Callable[[Callable[[], Rows], Callable[[Rows], None]], None],
        show: Callable[[Rows], None],
    ) -> None:
        self._manager, self._in_background, self._show = manager, in_background, show
        self._seen: tuple[tuple[str, Status, str | None, bool], ...] = ()
        self.rows: Rows = ()

    def update(self) -> None:
        """Read the folders only if the status of some run has changed."""
        handles = self._manager.handles.items()
        seen = tuple((key, it.state.status, it.state.run, it.connection is None) for key, it in handles)
        if seen != self._seen:
            self._seen = seen
            self.reload()

    def reload(self) -> None:
        self._in_background(self._read, self._use)

    def _read(self) -> Rows:
        try:
            return tuple(read_rows(self._manager.runs, NEWEST))
        except FemtoError:
            return self.rows  # the trainer reports a folder that cannot be used

    def _use(self, rows: Rows) -> None:
        self.rows = rows
        self._show(rows)
