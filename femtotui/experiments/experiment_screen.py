"""Several trainings on one chart, a table under it: the race of the recipes, the question of entry 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Footer, Static

from femtotui.presets import Preset

from ..chart.chart_model import ChartData, Overlay
from ..chart.glyphs import Glyphs
from ..chart.loss_chart import LossChart
from ..chart.series import LossSeries
from ..text.formats import TONES, printable
from ..widgets.dialogs import InTurn
from ..widgets.tick import LOOK_TICKS
from .experiment import Experiment, Trial, contest_rows, table_lines


class ExperimentScreen(InTurn[None]):
    """Shows a contest, and trains what is left of it while it is open: leaving saves, coming back goes on.

    `give_way` is called before anything is trained here, so that two trainings need not share the cores.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "train", "train", id="contest-train", tooltip="Train what is missing, one by one"),
        Binding("space", "stop", "stop", id="contest-train", tooltip="Save, and stop training here"),
        Binding("x", "chart('toggle_x_axis')", "steps/time", id="loss-time"),
        Binding("l", "chart('toggle_log_y')", "linear/log", id="loss-log"),
        Binding("b", "chart('toggle_unit')", "nats/bits", show=False, id="loss-bits"),
        Binding("plus", "chart_smooth(1)", "smoother", show=False, id="loss-smoother"),
        Binding("minus", "chart_smooth(-1)", "rougher", show=False, id="loss-rougher"),
        Binding("escape,q", "leave", "back", id="contest-back"),
    ]

    def __init__(
        self, contest: Experiment, preset: Preset | None, glyphs: Glyphs, give_way: Callable[[], None]
    ) -> None:
        super().__init__()
        self._contest, self._preset, self._give_way = contest, preset, give_way
        self._ticks = 0
        self._chart = LossChart(id="contest-chart")
        self._chart.glyphs = glyphs
        self._table, self._words = Static(id="contest-table"), Static(id="contest-answer")

    def compose(self) -> ComposeResult:
        yield self._chart
        with VerticalScroll(id="contest-facts") as facts:
            facts.border_title = Content(printable(self._contest.title))
            yield self._table
            yield self._words
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._contest.read()
        self.query_one("#contest-facts").focus()
        self._words.update(Content(" ".join(self._contest.answer)))
        self._words.display = bool(self._contest.answer)
        self._show_landmarks()
        self._show_curves()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_table)

    def tick(self) -> None:
        self._ticks += 1
        news = self._contest.take()
        if (self._ticks % LOOK_TICKS == 0 and self._contest.read()) or news:
            self._show()

    def _show(self) -> None:
        self._show_curves()
        self._show_table()
        self.refresh_bindings()

    # -- showing ---------------------------------------------------------------------------------------

    def _show_curves(self) -> None:
        """Every lane is laid over a chart without a run of its own, so that all are drawn alike."""
        begun = [lane for lane in self._contest.lanes if lane.view is not None and len(lane.view.steps)]
        self._chart.set_overlays([overlay_of(lane) for lane in begun])

    def _show_landmarks(self) -> None:
        """The end point that the journal noted, or the level that a peer reached."""
        record = self._preset.journal if self._preset is not None else None
        peer = self._preset.peer if self._preset is not None else None
        goal = (record.step, record.loss, f"journal #{record.entry}") if record is not None else None
        levels = [(peer.name, peer.val_loss)] if peer is not None else []
        self._chart.show(ChartData(baselines=levels, goal=goal))

    def _show_table(self) -> None:
        lines: list[Content] = []
        for number, (cells, last, tone) in enumerate(
            table_lines(contest_rows(self._contest), self._table.content_size.width)
        ):
            quiet = "$foreground-muted" if number == 0 else "$text"
            lines.append(Content.assemble((cells, quiet), (last, quiet if number == 0 else TONES[tone])))
        lines.append(Content.styled(f"\n{self._hint()}" if self._hint() else "", "$foreground-muted"))
        self._table.update(Content("\n").join(lines))

    def _hint(self) -> str:
        """What there is to do or to know; nothing when all is said."""
        contest = self._contest
        troubles = [lane.problem or _failure(lane) for lane in contest.lanes]
        trouble = next((printable(words) for words in troubles if words), "")
        if trouble:
            return trouble
        if contest.current is not None:
            return f"training {contest.current.name}; leaving saves it, coming back goes on"
        if contest.next_lane is not None:
            return f"space trains what is missing, {contest.next_lane.name} first"
        return ""

    # -- what can be done ------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        del parameters
        moving = self._contest.current is not None
        offered = {"train": not moving and self._contest.next_lane is not None, "stop": moving}
        return offered.get(action, True)

    def action_train(self) -> None:
        self._give_way()
        self._contest.start()
        self._show()

    def action_stop(self) -> None:
        self._contest.stop()
        self._show()

    def action_leave(self) -> None:
        self._contest.stop()
        self.dismiss()

    def action_chart(self, action: str) -> None:
        getattr(self._chart, f"action_{action}")()

    def action_chart_smooth(self, direction: int) -> None:
        self._chart.action_smooth(direction)


def overlay_of(lane: Trial) -> Overlay:
    """A lane's curve, to lay over another's of the same tokens."""
    view = lane.view
    started = view.started if view is not None else None
    is_byte = lane.config.tokenizer.kind == "byte"
    return Overlay(
        key=lane.name,
        name=lane.name,
        series=view.curve if view is not None else LossSeries(),
        bytes_per_token=started.bytes_per_token if started is not None else (1.0 if is_byte else None),
    )


def _failure(lane: Trial) -> str:
    failure = lane.view.failure if lane.view is not None else None
    return f"{failure.title}: {failure.message}" if failure is not None else ""
