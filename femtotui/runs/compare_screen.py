"""Two runs side by side: their curves, the settings in which they differ, and their results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from femtotui.core.errors import FemtoError

from ..chart.glyphs import Glyphs
from ..chart.loss_chart import LossChart
from ..text.formats import UNKNOWN, duration, fitted, loss
from ..text.safe import unwrapped
from ..widgets.dialogs import InTurn
from ..widgets.key_line import KeyLine
from .library import RunRow, load_curve, load_overlay

LEAST_COLUMN = 12


class CompareScreen(InTurn[None]):
    """Scrolls, and the chart has its keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "back", id="compare-back"),
        Binding("l", "chart('toggle_log_y')", "linear/log", show=False, id="loss-log"),
        Binding("x", "chart('toggle_x_axis')", "steps/time", id="loss-time"),
        Binding("b", "chart('toggle_unit')", "nats/bits", id="loss-bits"),
    ]

    def __init__(self, left: RunRow, right: RunRow, glyphs: Glyphs) -> None:
        super().__init__()
        self._left, self._right, self._glyphs = left, right, glyphs

    def compose(self) -> ComposeResult:
        chart = LossChart("compare-chart", self._glyphs)
        yield chart
        with VerticalScroll(id="compare-facts") as facts:
            facts.border_title = Content(f"{self._left.name}  and  {self._right.name}")
            yield Static(id="compare-table")
        yield KeyLine()

    def on_mount(self) -> None:
        chart = self.query_one(LossChart)
        chart.border_title = Content(f"━━ {self._left.name}   ━ {self._right.name}")
        try:
            chart.show(load_curve(self._left))
            chart.set_overlays([load_overlay(self._right)])
        except FemtoError as error:
            self.notify(str(error), severity="error", markup=False)
        self.query_one("#compare-facts").focus()

    def on_resize(self) -> None:
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        table = self.query_one("#compare-table", Static)
        table.update(facts_table(compare(self._left, self._right), table.content_size.width))

    def action_chart(self, action: str) -> None:
        getattr(self.query_one(LossChart), f"action_{action}")()


def facts_table(parts: Sequence[Sequence[Line]], width: int) -> Content:
    """Differing settings in colour, then the results, then equal settings, dimmed."""
    heads = (
        ("settings that differ", "$text-warning"),
        ("results", "$text"),
        ("the same in both", "$foreground-muted"),
    )
    names = [line.what for part in parts for line in part]
    first = min(max(map(len, names), default=0), max(width // 2, LEAST_COLUMN))
    each = max((width - first - 4) // 2, LEAST_COLUMN)
    lines: list[Content] = []
    for (title, tone), part in zip(heads, parts, strict=True):
        lines.append(Content.styled(title if part else f"{title}: none", "bold underline"))
        for line in part:
            row = f"{fitted(line.what, first)}  {fitted(line.left, each)}  {fitted(line.right, each)}"
            lines.append(Content.styled(row, tone))
        lines.append(Content(""))
    return Content("\n").join(lines)


class Line(NamedTuple):
    """One fact of both runs."""

    what: str
    left: str
    right: str


def compare(left: RunRow, right: RunRow) -> tuple[list[Line], list[Line], list[Line]]:
    """Settings that differ, results, and settings that are the same."""
    ours, theirs = _settings(left), _settings(right)
    names = list(dict.fromkeys([*ours, *theirs]))
    lines = [Line(name, ours.get(name, UNKNOWN), theirs.get(name, UNKNOWN)) for name in names]
    differing = [line for line in lines if line.left != line.right]
    results = zip(_results(left).items(), _results(right).values(), strict=True)
    outcome = [Line(name, ours, theirs) for (name, ours), theirs in results]
    return differing, outcome, [line for line in lines if line.left == line.right]


def _settings(row: RunRow) -> dict[str, str]:
    info = row.summary.info
    if info is None:
        return {}
    config = dict(_flat(msgspec.to_builtins(info.config)))
    more = {"data": info.data.name, "data hash": info.data.sha256[:12], "machine": info.machine}
    more |= {"parameters": f"{info.parameters:,}", "created": info.created[:16].replace("T", " ")}
    return {name: unwrapped(value) for name, value in {**config, **more}.items()}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        path = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path} · ")
        elif isinstance(value, list | tuple):
            yield path, ", ".join(map(str, value)) or UNKNOWN
        else:
            yield path, f"{value:g}" if isinstance(value, float) else str(value)


def _results(row: RunRow) -> dict[str, str]:
    summary = row.summary
    return {
        "step": f"{summary.step:,}",
        "loss of the last step": loss(summary.loss),
        "validation loss": loss(summary.val_loss),
        "time spent training": duration(summary.elapsed_s),
        "saved at step": f"{summary.checkpoint_step:,}" if summary.checkpoint_step is not None else UNKNOWN,
        "note": unwrapped(row.note) or UNKNOWN,
    }
