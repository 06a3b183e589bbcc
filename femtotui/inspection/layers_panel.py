"""The panel of a model's layers: a row a layer, what is wrong in words, and the weights of one layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from femtotui.core.events import StepInspected

from ..runs.state import RunState, Status
from ..text.formats import TONES, fitted, sparkline
from ..text.safe import one_line
from ..widgets import framed
from .layer_report import Column, Finding, columns, depth_name, evenly, findings, scientific, tensor_rows

INTERVAL_SECONDS = 2.0
LEAST_STEPS = 30
"""Steps between two measurements: one costs a third of a step at entry 2, half a step at most."""

LABEL_WIDTH, FIGURE_WIDTH, MOST_SPARKS = 11, 8, 16
COLUMN_WIDTH, LEAST_COLUMNS = 16, 4
MOST_HEADINGS = 3
Steps = Sequence[StepInspected]
MUTED, WARNING = "$foreground-muted", TONES["warning"]


class InspectionPace:
    """Says when the next step should be inspected: when the panel comes in sight, then at intervals.

    They are shorter in a run's first seconds, in which most changes.
    """

    def __init__(self) -> None:
        self._state: RunState | None = None
        self._asked_s = 0.0

    def due(self, state: RunState, *, in_sight: bool) -> bool:
        """Whether to ask for a measurement now; the caller then asks."""
        if not in_sight or state.status is not Status.TRAINING:
            self._state = None
            return False
        least_s = LEAST_STEPS * (state.ms_per_step or 0) / 1e3
        interval = max(min(INTERVAL_SECONDS, state.elapsed_s / 5), least_s)
        due = state is not self._state or not 0 <= state.elapsed_s - self._asked_s < interval
        if due:
            self._state, self._asked_s = state, state.elapsed_s
        return due


class LayersPanel(Widget, can_focus=True):
    """Shows the inspected steps of a run. The arrows choose the layer whose weights are shown, too."""

    DEFAULT_CSS = framed("LayersPanel", "border-subtitle-align: left;")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "layer", id="layer-up", tooltip="The layer above"),
        Binding("down", "move(1)", "layer", show=False, id="layer-down", tooltip="The layer below"),
    ]

    def __init__(self, widget_id: str) -> None:
        super().__init__(id=widget_id)
        self._state: RunState | None = None
        self._shown: tuple[object, ...] = ()
        self._cursor = 1
        self._content = Content("")

    def show(self, state: RunState) -> None:
        """Draw the newest measurements of a run, if they are not drawn yet."""
        shown = (state, state.status, state.inspected[-1] if state.inspected else None)
        if shown != self._shown:
            self._shown, self._state = shown, state
            self._lay_out()

    def action_move(self, by: int) -> None:
        if self._state is not None and self._state.inspected:
            depths = len(self._state.inspected[-1].streams)
            self._cursor = min(max(self._cursor + by, 0), depths - 1)
            self._lay_out()

    def render(self) -> Content:
        return self._content

    @on(events.Resize)
    @on(events.Focus)
    @on(events.Blur)
    def _lay_out(self) -> None:
        """Rows first, then the sentences, in the frame where there is no room, then the weights."""
        (width, height), state, subtitle = self.content_size, self._state, Content("")
        if state is None or not state.inspected:
            self._content = Content.styled(waiting_words(state), MUTED)
        else:
            inspected, depths = tuple(state.inspected), len(state.inspected[-1].streams)
            found, cursor = findings(inspected, state.config), min(self._cursor, depths - 1)
            sentences = Content("\n").join(Content.styled(each.words(width), WARNING) for each in found)
            below, free = sentences.wrap(max(width, 1)) if found else [], height - 1 - depths
            if not found or len(below) > free:
                worst = (found[0].words(width), WARNING) if found else ("nothing stands out", MUTED)
                subtitle, below = Content.assemble(" ", worst, " "), []
            detail = detail_lines(inspected[-1], cursor, width)[: max(free - len(below), 0)]
            detail = detail if len(detail) > MOST_HEADINGS else []
            marked = cursor if detail or self.has_focus else None
            top = max(cursor + 2 - height, 0) if self.has_focus else 0
            header, *table = table_lines(inspected, columns(state.config.model.width), found, marked, width)
            lines = [header, *table[top:][: max(height - 1, 0)], *below, *detail]
            self._content = Content("\n").join(lines[:height])
        self.border_subtitle = subtitle
        self.refresh()


def waiting_words(state: RunState | None) -> str:
    """Why there is nothing to see, and what to do."""
    if state is None or state.status in {Status.STARTING, Status.TRAINING}:
        return "waiting for the next measurement…"
    if state.status is Status.PAUSED:
        return "no step was measured: space resumes the training, and the next one is"
    return "no step was measured: that is done while a run trains and this panel is shown; n starts a new run"


def table_lines(
    inspected: Steps, shown: Sequence[Column], found: Sequence[Finding], cursor: int | None, width: int
) -> list[Content]:
    """A header and a row for each depth: the newest figures, with their past as bars where there is room."""
    newest, room = inspected[-1], max(width - LABEL_WIDTH, 0)
    shown = shown[: max(room // COLUMN_WIDTH, min(LEAST_COLUMNS, room // (FIGURE_WIDTH + 1)))]
    cell = room // len(shown) if shown else 0
    sparks = min(max(cell - FIGURE_WIDTH - 2, 0), MOST_SPARKS)
    cell = FIGURE_WIDTH + 1 + (sparks + 1 if sparks else 0)
    past = evenly(inspected, sparks)
    titles = "".join(f"{fitted(c.title, cell - 1)} " for c in shown)
    lines = [Content.styled(fitted(f"step {newest.step:,}", LABEL_WIDTH - 1) + " " + titles, MUTED)]
    wrong = set(chain.from_iterable(finding.depths for finding in found))
    for depth in range(len(newest.streams)):
        mark, tone = ("!", WARNING) if depth in wrong else (" ", MUTED)
        label = f"{mark} {depth_name(depth)}".ljust(LABEL_WIDTH)
        parts = [(label, f"{tone} reverse" if depth == cursor else tone)]
        for column in shown:
            value = column.of(newest, depth)
            figure = column.words(value) if not math.isnan(value) else ""
            bars = sparkline([column.of(e, depth) for e in past], sparks) if figure else ""
            parts.append((f"{figure:>{FIGURE_WIDTH}} ", "$text"))
            parts.append((f"{bars:<{cell - FIGURE_WIDTH - 1}}", "$text-primary"))
        lines.append(Content.assemble(*parts))
    return lines


def detail_lines(e: StepInspected, depth: int, width: int) -> list[Content]:
    """An empty line, then the attention and the units of a layer, then its weights."""
    about = depth_name(depth)
    if depth:
        layer = e.layers[depth - 1]
        heads = " ".join(f"{bits:.1f}" for bits in layer.entropies)
        about += f": entropy of its heads {heads} bits"
        about += f" · units always off {layer.silent:.0%}, on {layer.open:.0%}"
    header = f"  {'weights':<28}{'norm':>9}{'gradient':>10}{'update/weight':>15}"
    lines = [Content(""), Content(one_line(about, width)), Content.styled(header, MUTED)]
    for name, norm, gradient, ratio in sorted(tensor_rows(e, depth), key=lambda row: ".weight" not in row[0]):
        figures = f"{norm:>9.3g}{scientific(gradient):>10}{scientific(ratio):>15}"
        lines.append(Content(f"  {one_line(name, 27):<28}{figures}"))
    return lines
