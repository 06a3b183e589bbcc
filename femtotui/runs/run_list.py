"""The newest runs under the presets: how each stands, what it is, when it began, how far its loss fell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ..text.formats import duration, loss
from ..text.safe import unwrapped
from .library import RunRow

NAME_WIDTH = 14
_KEY_WIDTH = 8
_OVERLAY_TONES = ("$text-success", "$text-error", "$foreground 80%", "$secondary", "$text-accent", "$accent")
"""The chart's colours for the runs laid over it, in order."""


@dataclass(frozen=True)
class Glance:
    """The runs to show: the newest rows, the folder name of the one on the chart, and those laid over it."""

    rows: tuple[RunRow, ...] = ()
    current: str = ""
    overlaid: tuple[str, ...] = ()


def run_line(row: RunRow, glance: Glance) -> Content:
    """One line of the list: mark, title or preset and time, loss on text that is never trained on."""
    name = row.path.name
    mark, tone = _mark(row)
    if name in glance.overlaid:
        mark, tone = "◆", _OVERLAY_TONES[glance.overlaid.index(name) % len(_OVERLAY_TONES)]
    here = name == glance.current
    return Content.assemble(
        (mark, tone),
        " ",
        (_fitted(_name(row), NAME_WIDTH), "bold" if here else ""),
        (f"{'now' if here and row.held else _loss(row):>6}", "$foreground-muted"),
    )


def run_words(row: RunRow) -> str:
    """What the line has no room for."""
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
    return f"{key:>2} {when}" if key.isdigit() else f"{_fitted(key, _KEY_WIDTH)} {when[6:]}"


def _fitted(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"


def _loss(row: RunRow) -> str:
    value = row.summary.val_loss if row.summary.val_loss is not None else row.summary.loss
    return f"{value:.3f}" if value is not None else ""


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

    def shown(self, names: Sequence[str]) -> tuple[RunRow, ...]:
        """Those of `names` that are in the list."""
        return tuple(self._runs[name] for name in names if name in self._runs)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_id in self._runs:
            self.post_message(RunPointedAt(self._runs[event.option_id]))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_id in self._runs:
            self.post_message(RunChosen(self._runs[event.option_id]))
