"""The panels with the numbers of a run, the line with its scores, and the help about the Train screen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from femtotui.core.events import ScoreDone

from ..runs.state import RunState, Status
from ..text.formats import (
    UNKNOWN,
    duration,
    loss,
    memory,
    milliseconds,
    progress_bar,
    rate,
    score_bars,
    sparkline,
)
from ..text.safe import one_line
from ..widgets.help_screen import Rows

PANELS = ("step", "loss", "elapsed", "RAM", "speed", "rate")
_LONGEST_FORESIGHT_S = 30 * 86_400


class Lines(NamedTuple):
    """The prominent line of a panel, the one below it, and a third where there is room."""

    main: str
    sub: str
    more: str = ""


BAR_WIDTH = 8


def panel_lines(
    state: RunState, now: datetime | None = None, free_mib: float | None = None
) -> dict[str, Lines]:
    """The lines of every panel, by its title. `free_mib` is what the machine has left."""
    ms, tokens = state.ms_per_step, state.tokens_per_s
    share = state.step / state.total_steps
    return {
        "step": Lines(
            f"{state.step:,}",
            f"of {state.total_steps:,}",
            f"{progress_bar(share, BAR_WIDTH)} {int(100 * share)}%",
        ),
        "loss": Lines(loss(state.smoothed_loss), f"val {loss(state.val_loss)}", _landmark(state)),
        "elapsed": Lines(duration(state.elapsed_s), _left(state), _end(state, now)),
        "RAM": _ram(state, free_mib),
        "speed": Lines(
            f"{milliseconds(ms)}/step" if ms is not None else UNKNOWN,
            rate(tokens) if tokens is not None else "",
            sparkline(state.recent_speeds(), 12),
        ),
        "rate": Lines(
            f"{state.lr:.2e}" if state.lr is not None else UNKNOWN,
            f"gradient {state.grad_norm:.3f}" if state.grad_norm is not None else "",
            f"seed {state.config.train.seed}",
        ),
    }


def _landmark(state: RunState) -> str:
    """The loss to compare with: the floor, or else the bigram baseline."""
    if state.started is None:
        return ""
    known = state.started.baselines
    return f"floor {known.floor:.4f}" if known.floor is not None else f"bigram {known.bigram:.4f}"


def _end(state: RunState, now: datetime | None) -> str:
    """The time of day at which the run will end."""
    left_s = state.left_s if state.status is Status.TRAINING else None
    if left_s is None or now is None or left_s > _LONGEST_FORESIGHT_S:
        return ""
    end = now + timedelta(seconds=left_s)
    return f"ends {end:%H:%M}" if end.date() == now.date() else f"ends {end:%m-%d %H:%M}"


def _ram(state: RunState, free_mib: float | None) -> Lines:
    plan = f"~{memory(state.forecast_mib).removesuffix(' MiB')}" if state.forecast_mib else ""
    free = f"{free_mib / 1024:.1f}G free" if free_mib is not None else ""
    if not state.total_mib:
        return Lines(UNKNOWN, plan, free)
    peak = f"peak {memory(state.peak_mib).removesuffix(' MiB')} {plan}"
    return Lines(memory(state.total_mib), peak.strip(), free)


def _left(state: RunState) -> str:
    if state.status is Status.FINISHED:
        return "finished"
    if state.status is Status.FAILED or state.left_s is None:
        return UNKNOWN
    return f"{duration(state.left_s)} left"


def summary_facts(state: RunState) -> list[str]:
    """The same in a line, the most important first, for terminals in which the panels do not fit."""
    lines = panel_lines(state)
    facts = [
        f"{state.step:,}/{state.total_steps:,}",
        f"loss {lines['loss'].main}",
        lines["loss"].sub,
        lines["elapsed"].sub,
        lines["RAM"].main,
        lines["speed"].main,
    ]
    return [fact for fact in facts if fact not in {"", UNKNOWN}]


def figures_line(state: RunState) -> str:
    """Learning rate and gradient norm."""
    if state.lr is None or state.grad_norm is None:
        return ""
    return f"learning rate {state.lr:.2e}  gradient {state.grad_norm:6.3f}"


def ram_words(state: RunState, free_mib: float) -> str:
    """The figures of the memory panel in a sentence."""
    words = [f"{memory(state.total_mib)} for the trainer and the app, {memory(state.peak_mib)} at most"]
    if state.forecast_mib:
        words.append(f"{memory(state.forecast_mib)} were forecast before it started")
    words.append(f"{memory(free_mib)} of the machine are free")
    return "; ".join(words)


_LEADING_NUMBER = re.compile(r"-?\d[\d.,]*")
_SMALL_SHRINK = 2


class StatPanel(Widget):
    """A bordered box: a title, a main line that catches the eye, and two quieter lines below it.

    A number at the start of a line keeps its right edge when it loses a digit or two, so that a speed that
    swings between 9.8 and 10.2 does not push its unit to and fro.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"stat-panel--main", "stat-panel--sub"}
    DEFAULT_CSS = """
    StatPanel {
        width: 1fr;
        min-width: 10;
        height: 5;
        border: round $foreground 25%;
        border-title-color: $text-muted;
        padding: 0 0 0 1;
        & > .stat-panel--main { color: $text; text-style: bold; }
        & > .stat-panel--sub { color: $text-muted; }
    }
    """

    def __init__(self, title: str) -> None:
        super().__init__(id=f"panel-{title.lower()}")
        self.border_title = title
        self._number_widths = [0, 0, 0]
        self.lines = (UNKNOWN, "", "")

    def update(self, main: str, sub: str = "", more: str = "") -> None:
        """Show the lines; only what differs from what is shown is drawn again."""
        lines = (self._steady(0, main), self._steady(1, sub), self._steady(2, more))
        before, self.lines = self.lines, lines
        rows = [row for row in range(len(lines)) if lines[row] != before[row]]
        if rows:
            self.refresh(*(Region(0, row, max(self.content_size.width, 1), 1) for row in rows))

    def _steady(self, row: int, text: str) -> str:
        """`text` on one line, its leading number padded to the width that such numbers had lately."""
        text = one_line(text)
        number = _LEADING_NUMBER.match(text)
        width = len(number[0]) if number else 0
        shrink = self._number_widths[row] - width
        if not number or not 0 <= shrink <= _SMALL_SHRINK:
            self._number_widths[row] = width
            return text
        return " " * shrink + text

    def render_line(self, y: int) -> Strip:
        """The main line, the lines below it, and nothing else; a lost end is marked."""
        width = self.content_size.width
        if not 0 <= y < len(self.lines):
            return Strip.blank(width, self.rich_style)
        style = self.get_component_rich_style(f"stat-panel--{'sub' if y else 'main'}")
        fitted = one_line(cut_at_word(self.lines[y], width), width)
        return Strip([Segment(fitted, style)]).adjust_cell_length(width, style)


def cut_at_word(text: str, width: int) -> str:
    """`text` without the words that do not fit, and a sign for them: half a number is another number."""
    if len(text) > width:
        text = text.lstrip()
    words = text.split(" ")
    while len(text) > width and len(words) > 1:
        words.pop()
        text = " ".join(words) + " …"
    return text


_LABEL = "task score "
_MOST_BARS = 40
_LEAST_BARS = 8


class ScoreLine(Static):
    """The scores so far as bars, and what the last one says."""

    DEFAULT_CSS = """
    ScoreLine { height: 1; padding: 0 2; }
    """

    def __init__(self) -> None:
        super().__init__(id="score")
        self._scores: tuple[ScoreDone, ...] = ()
        self.display = False

    def show_scores(self, scores: Sequence[ScoreDone]) -> None:
        if tuple(scores) != self._scores:
            self._scores = tuple(scores)
            self.display = bool(scores)
            self.refresh(layout=True)

    def render(self) -> Content:
        """The curve takes what the words leave, but some of it always."""
        if not self._scores:
            return Content("")
        last, width = self._scores[-1], self.content_size.width
        words = one_line(f"{last.summary} · step {last.step:,}{'' if last.thorough else ', a quick look'}")
        room = width - len(_LABEL) - 1 - cell_len(words)
        bars = score_bars(self._scores, min(max(room, _LEAST_BARS), _MOST_BARS))
        tone = "$text-success" if last.verdict == "success" else "$text-warning"
        said = one_line(words, max(0, width - len(_LABEL) - len(bars) - 1))
        return Content.assemble((_LABEL, "$foreground-muted"), (bars, tone), " ", said)


# -- help: its keys are explained by their bindings ----------------------------------------------------------

MEANINGS: Rows = (
    ("step", "batches trained on, and how many there will be"),
    ("loss", "the surprise of the next token, in nats: the mean of the last 20 steps. Lower is better. val "
     "is the same on text that is not trained on; single lines may occur in both, by chance"),
    ("elapsed", "time spent training, and what is left at the recent rate; pauses do not count"),
    ("RAM", "the peak of trainer and app together, and after ~ the forecast; then what is free"),
    ("speed", "milliseconds per step and tokens per second, over the last 50 steps; the bars show 240"),
    ("chart", "named lines say what a loss means: ln V is random guessing, unigram and bigram only count "
     "tokens and pairs, the floor knows every rule. The mark is where the journal's own run ended"),
    ("below it", "the verdict: whether the loss still falls, and how fast; how far it is from the floor; "
     "where the journal's run ended. A run that still falls was stopped too early"),
    ("t", "the other panels in the chart's place: learning rate, gradient norm and throughput of every step, "
     "and the layers. A long run's gradient norm is the greatest of the steps that share a point"),
    ("layers", "what a model looks like inside: a row a layer, measured in one step every few seconds while "
     "this is shown. It says why a run learns badly, where the loss only says that it does. Read it from "
     "the top: figures that change gently with depth are healthy, what ! marks is explained below; the "
     "bars are the steps measured so far. docs/inspection.md has figures of good and bad runs"),
    ("sample", "what the model writes. A token's colour is its probability; the arrows move through the "
     "tokens and show what else was likely. An empty prompt is a newline; \\n and \\t work"),
    ("presets", "↑ ↓, a number from 1 to 14 or a click point at one, enter or a double click trains it. Left "
     "of the number: ‖ parked, ● this session's run; right of the size: its author's verdict, then yours, "
     "from the runs' scores"),
    ("runs", "the newest, with the loss on text that is not trained on: ● trains, ‖ can be resumed, "
     "✓ finished, – never saved, ◆ laid over the chart"),
    ("detached", "training without the app: femtotui attach shows it again"),
)  # fmt: skip

TOPICS: dict[str, tuple[str, Rows]] = {
    "chart": ("the chart", (
        ("mouse", "the wheel zooms, dragging moves, a click reads a point, a double click shows all again"),
        ("bits", "bits per byte compare runs with different tokenizers"),
    )),
    "layers": ("the layers", (
        ("stream", "RMS: the size of what the layers pass on, a row of numbers a token. It may grow gently"),
        ("carrying", "how many of its coordinates matter, a third or more. A few: little gets through"),
        ("gradient", "RMS of its gradient. Layers that get a hundredth of the last one's hardly learn"),
        ("update", "change of the weights in a step, relative to them: AdamW to 1e-2, Muon to 4e-2"),
        ("silent", "share of the feed-forward units that no token turned on"),
        ("entropy", "of attention, mean over heads: 0 bits look at one token, 4.6 evenly at 64 tokens' past"),
    )),
    "presets": ("the presets", (
        ("↑ ↓", "point at a preset, as a number or a click does: the line below says what it needs"),
        ("enter", "train it; the current run is saved and parked, and resumed when you come back"),
        ("marks", "● trains or finished, ‖ parked, ! failed; ✓ ✗ its author's verdict, then yours"),
    )),
    "run-list": ("the runs", (
        ("↑ ↓", "highlight a run: the line below says how far it got"),
        ("enter", "lay its curve over the chart, or remove it"),
    )),
}  # fmt: skip
