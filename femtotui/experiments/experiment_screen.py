"""The experiment screen: the curves of all trials in one chart, and a table of results under it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Footer, Static

from femtotui.presets import Preset

from ..chart.chart_model import ChartData
from ..chart.glyphs import Glyphs
from ..chart.loss_chart import LossChart
from ..runs.library import state_overlay
from ..runs.state import Status
from ..text.formats import TONES, UNKNOWN, Tone, duration, loss, score
from ..text.safe import unwrapped
from ..widgets.dialogs import InTurn
from ..widgets.help_screen import HelpScreen, Rows
from ..widgets.tick import LOOK_TICKS
from .experiment import Experiment, ExperimentRunner, Trial

COLUMNS = ("run", "step", "loss", "validation", "score", "time", "verdict")
_GAP = "  "
_TRAIN = "experiment-train"


@dataclass(frozen=True)
class ExperimentRow:
    """The cells of a line, and the tone of the last one."""

    cells: tuple[str, ...]
    tone: Tone = "plain"


def experiment_rows(experiment: Experiment) -> list[ExperimentRow]:
    """A row per trial, after the preset's noted result; losses in nats per token, times of training."""
    return [*_noted_rows(experiment.preset), *(_trial_row(experiment, trial) for trial in experiment.trials)]


def table_lines(rows: list[ExperimentRow], width: int) -> Iterator[tuple[str, str, Tone]]:
    """Yield each line in two parts, the last cell apart with its tone; the header first.

    Where there is no room for all columns, validation goes first, then time, then step.
    """
    kept = list(range(len(COLUMNS)))
    widths = [max(len(COLUMNS[at]), *(len(row.cells[at]) for row in rows)) for at in kept]
    for spare in (3, 5, 1):
        if sum(widths[at] for at in kept) + len(_GAP) * (len(kept) - 1) <= width:
            break
        kept.remove(spare)
    for row in (ExperimentRow(COLUMNS), *rows):
        first = _GAP.join(row.cells[at].ljust(widths[at]) for at in kept[:-1]) + _GAP
        yield first, row.cells[-1], row.tone


def _noted_rows(preset: Preset | None) -> Iterator[ExperimentRow]:
    """The result that the journal notes, or else the peer's, which is a validation loss."""
    if preset is not None and (record := preset.journal) is not None:
        figures = (f"{record.step:,}", loss(record.loss), UNKNOWN, UNKNOWN, duration(record.elapsed_s))
        tone: Tone = "good" if record.verdict == "success" else "error"
        yield ExperimentRow(("the journal's own", *figures, record.verdict), tone)
    elif preset is not None and (peer := preset.peer) is not None:
        figures = (UNKNOWN, UNKNOWN, loss(peer.val_loss), UNKNOWN, duration(peer.elapsed_s))
        yield ExperimentRow((peer.name, *figures, UNKNOWN))


def _trial_row(experiment: Experiment, trial: Trial) -> ExperimentRow:
    state, (verdict, tone) = trial.state, _verdict(experiment, trial)
    if state is None:
        steps = f"{trial.config.train.steps:,}"
        return ExperimentRow((trial.name, steps, *([UNKNOWN] * 4), verdict), tone)
    step = f"{state.step:,}" if trial.is_done else f"{state.step:,} of {state.total_steps:,}"
    scored = UNKNOWN if trial.score is None else score(trial.score.score, trial.score.unit)
    figures = (loss(state.smoothed_loss), loss(state.val_loss), scored, duration(state.elapsed_s))
    return ExperimentRow((trial.name, step, *figures, verdict), tone)


def _verdict(experiment: Experiment, trial: Trial) -> tuple[str, Tone]:
    """The verdict on a trial, or why there is none yet."""
    state = trial.state
    if trial.is_done:
        return _final_verdict(experiment, trial)
    if trial.is_training:
        left_s = None if state is None or state.status is Status.STARTING else state.left_s
        return ("starting" if left_s is None else f"{duration(left_s)} left"), "good"
    if trial.has_failed:
        return "aborted", "error"
    if experiment.is_unneeded(trial):
        return "not needed", "plain"
    if trial.trained_elsewhere:
        return "trained elsewhere", "warning"
    return ("stopped", "warning") if state is not None and state.step else ("not yet", "plain")


def _final_verdict(experiment: Experiment, trial: Trial) -> tuple[str, Tone]:
    goal = experiment.goal
    if goal is None:
        return "finished", "good"
    if not experiment.succeeded(trial):
        return "fail", "error"
    slow = trial.state is not None and trial.state.elapsed_s > goal.seconds
    return (f"success, over {duration(goal.seconds)}", "warning") if slow else ("success", "good")


MEANINGS: Rows = (
    ("a row", "a training: its step, losses in nats per token, what it can do by measure, its time"),
    ("a curve", "the smoothed training loss; x shows it by time, which is what a race is about"),
    ("leaving", "saves what trains here; space resumes it the next time"),
)


class ExperimentScreen(InTurn[None]):
    """Shows an experiment, and trains what is left of it: leaving saves it, space resumes it later.

    `pause_current` is called before anything is trained here, so that two trainings need not share the cores.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "train", "train", id=_TRAIN, tooltip="Train what is missing, one by one"),
        Binding("space", "stop", "stop", id=_TRAIN, tooltip="Save, and stop training here"),
        Binding("x", "chart('toggle_x_axis')", "steps/time", id="loss-time"),
        Binding("l", "chart('toggle_log_y')", "linear/log", id="loss-log"),
        Binding("b", "chart('toggle_unit')", "nats/bits", show=False, id="loss-bits"),
        Binding("plus", "chart('smooth', 1)", "smoother", show=False, id="loss-smoother"),
        Binding("minus", "chart('smooth', -1)", "rougher", show=False, id="loss-rougher"),
        Binding("question_mark", "help", "help", key_display="?", tooltip="This help"),
        Binding("escape,q", "leave", "back", id="experiment-back"),
    ]

    def __init__(self, runner: ExperimentRunner, glyphs: Glyphs, pause_current: Callable[[], None]) -> None:
        super().__init__()
        self._runner, self._experiment, self._pause_current = runner, runner.experiment, pause_current
        self._ticks = 0
        self._chart = LossChart("experiment-chart", glyphs)
        self._chart.empty_text = "space begins the trainings"
        self._table = Static(id="experiment-table")

    def compose(self) -> ComposeResult:
        yield self._chart
        with VerticalScroll(id="experiment-facts") as facts:
            facts.border_title = Content(unwrapped(self._experiment.title))
            yield self._table
            if self._experiment.answer:
                yield Static(Content(" ".join(self._experiment.answer)), id="experiment-answer")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._runner.read()
        self.query_one("#experiment-facts").focus()
        self._show_landmarks()
        self._show_curves()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_table)

    def tick(self) -> None:
        """Show what the trainers sent and, now and then, what lies on disk."""
        self._ticks += 1
        news = self._runner.drain()
        if self._ticks % LOOK_TICKS == 0:
            news = self._runner.read() or news
        if news:
            self._show()

    def _show(self) -> None:
        self._show_curves()
        self._show_table()
        self.refresh_bindings()

    # -- showing ---------------------------------------------------------------------------------------

    def _show_curves(self) -> None:
        """Every trial is an overlay of an empty chart, so that all are drawn alike."""
        begun = [(trial.name, trial.state) for trial in self._experiment.trials]
        curves = [state_overlay(name, state) for name, state in begun if state and len(state.steps)]
        self._chart.set_overlays(curves)

    def _show_landmarks(self) -> None:
        """Mark the end of the journal's run, or the loss that a peer reached."""
        preset = self._experiment.preset
        record, peer = (preset.journal, preset.peer) if preset is not None else (None, None)
        goal = (record.step, record.loss, f"journal #{record.entry}") if record is not None else None
        levels = [(peer.name, peer.val_loss)] if peer is not None else []
        self._chart.show(ChartData(baselines=levels, goal=goal))

    def _show_table(self) -> None:
        width = self._table.content_size.width
        (names, last_name, _), *rows = table_lines(experiment_rows(self._experiment), width)
        lines = [Content.styled(names + last_name, "$foreground-muted")]
        lines += [Content.assemble((cells, "$text"), (last, TONES[tone])) for cells, last, tone in rows]
        hint = self._hint()
        lines.append(Content.styled(f"\n{hint}" if hint else "", "$foreground-muted"))
        self._table.update(Content("\n").join(lines))

    def _hint(self) -> str:
        """A problem, or the next thing to do; empty when everything is done."""
        problems = (trial.problem or _failure(trial) for trial in self._experiment.trials)
        problem = next((unwrapped(words) for words in problems if words), "")
        current, following = self._runner.current, self._experiment.next_trial
        if problem:
            return problem
        if current is not None:
            return f"training {current.name}; leaving saves it, space resumes it later"
        return f"space trains what is missing, {following.name} first" if following is not None else ""

    # -- actions ---------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done now."""
        del parameters
        training = self._runner.current is not None
        offered = {"train": not training and self._experiment.next_trial is not None, "stop": training}
        return offered.get(action, True)

    def action_train(self) -> None:
        self._pause_current()
        self._runner.start()
        self._show()

    def action_stop(self) -> None:
        self._runner.stop()
        self._show()

    def action_help(self) -> None:
        self.app.push_screen(HelpScreen.for_screen(self, MEANINGS))

    def action_leave(self) -> None:
        self._runner.stop()
        self.dismiss()

    def action_chart(self, action: str, *arguments: object) -> None:
        getattr(self._chart, f"action_{action}")(*arguments)


def _failure(trial: Trial) -> str:
    failure = trial.state.failure if trial.state is not None else None
    return f"{failure.title}: {failure.message}" if failure is not None else ""
