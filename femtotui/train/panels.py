"""What the panels say of a run: two short lines each, no screen."""

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

from ..chart.sparkline import progress_bar, score_bars, sparkline
from ..runs.state import RunState, Status
from ..text.formats import UNKNOWN, duration, loss, memory, milliseconds, rate
from ..text.safe import one_line

PANELS = ("step", "loss", "elapsed", "RAM", "speed", "rate")
_LONGEST_FORESIGHT_S = 30 * 86_400


class Lines(NamedTuple):
    """The line that catches the eye, the quieter one below it, and one more where there is room for three."""

    main: str
    sub: str
    more: str = ""


BAR_WIDTH = 8


def panel_lines(
    view: RunState | None, now: datetime | None = None, free_mib: float | None = None
) -> dict[str, Lines]:
    """The lines of every panel, by its title. `free_mib` is what the machine has left."""
    if view is None:
        return {name: Lines(UNKNOWN, "") for name in PANELS}
    ms, tokens = view.ms_per_step, view.tokens_per_s
    share = view.step / view.total_steps
    return {
        "step": Lines(
            f"{view.step:,}",
            f"of {view.total_steps:,}",
            f"{progress_bar(share, BAR_WIDTH)} {int(100 * share)}%",
        ),
        "loss": Lines(loss(view.smoothed_loss), f"val {loss(view.val_loss)}", _landmark(view)),
        "elapsed": Lines(duration(view.elapsed_s), _left(view), _end(view, now)),
        "RAM": _ram(view, free_mib),
        "speed": Lines(
            f"{milliseconds(ms)}/step" if ms is not None else UNKNOWN,
            rate(tokens) if tokens is not None else "",
            sparkline(view.recent_speeds(), 12),
        ),
        "rate": Lines(
            f"{view.lr:.2e}" if view.lr is not None else UNKNOWN,
            f"gradient {view.grad_norm:.3f}" if view.grad_norm is not None else "",
            f"seed {view.config.train.seed}",
        ),
    }


def _landmark(view: RunState) -> str:
    """The loss to think of beside one's own: the floor, or what counting pairs would do."""
    if view.started is None:
        return ""
    known = view.started.baselines
    return f"floor {known.floor:.4f}" if known.floor is not None else f"bigram {known.bigram:.4f}"


def _end(view: RunState, now: datetime | None) -> str:
    """The time of day at which it will be over."""
    if view.status is not Status.TRAINING or view.left_s is None or now is None:
        return ""
    if view.left_s > _LONGEST_FORESIGHT_S:
        return ""
    end = now + timedelta(seconds=view.left_s)
    return f"ends {end:%H:%M}" if end.date() == now.date() else f"ends {end:%m-%d %H:%M}"


def _ram(view: RunState, free_mib: float | None) -> Lines:
    plan = f"~{memory(view.forecast_mib).removesuffix(' MiB')}" if view.forecast_mib else ""
    free = f"{free_mib / 1024:.1f}G free" if free_mib is not None else ""
    if not view.total_mib:
        return Lines(UNKNOWN, plan, free)
    peak = f"peak {memory(view.peak_mib).removesuffix(' MiB')} {plan}"
    return Lines(memory(view.total_mib), peak.strip(), free)


def _left(view: RunState) -> str:
    if view.status is Status.FINISHED:
        return "finished"
    if view.status is Status.FAILED or view.left_s is None:
        return UNKNOWN
    return f"{duration(view.left_s)} left"


def summary_facts(view: RunState | None) -> list[str]:
    """All of it in a few words each, the most important first, for terminals where the panels do not fit."""
    if view is None:
        return []
    lines = panel_lines(view)
    facts = [
        f"{view.step:,}/{view.total_steps:,}",
        f"loss {lines['loss'].main}",
        lines["loss"].sub,
        lines["elapsed"].sub,
        lines["RAM"].main,
        lines["speed"].main,
    ]
    return [fact for fact in facts if fact not in {"", UNKNOWN}]


def figures_line(view: RunState | None) -> str:
    """Learning rate and gradient norm, for those who look."""
    if view is None or view.lr is None or view.grad_norm is None:
        return ""
    return f"learning rate {view.lr:.2e}  gradient {view.grad_norm:6.3f}"


def ram_words(view: RunState, free_mib: float) -> str:
    """The memory in a sentence, for those who ask what its figures are."""
    words = [f"{memory(view.total_mib)} for the trainer and the app, {memory(view.peak_mib)} at most"]
    if view.forecast_mib:
        words.append(f"{memory(view.forecast_mib)} were forecast before it started")
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

    def __init__(
        self,
        title: str,
        *,
        main: str = "–",
        sub: str = "",
        name: str | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
        disabled: bool = False,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes, disabled=disabled)
        self.border_title = Content(one_line(title))
        self._number_widths = [0, 0, 0]
        self._lines = ("", "", "")
        self.update(main, sub)

    @property
    def main(self) -> str:
        """The main line as it is shown."""
        return self._lines[0]

    @property
    def sub(self) -> str:
        """The line below it as it is shown."""
        return self._lines[1]

    @property
    def more(self) -> str:
        """The third line as it is shown, where the box is high enough."""
        return self._lines[2]

    def update(self, main: str, sub: str = "", more: str = "") -> None:
        """Show the lines; only what differs from what is shown is drawn again."""
        lines = (self._steady(0, main), self._steady(1, sub), self._steady(2, more))
        before, self._lines = self._lines, lines
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
        if not 0 <= y < len(self._lines):
            return Strip.blank(width, self.rich_style)
        style = self.get_component_rich_style(f"stat-panel--{'sub' if y else 'main'}")
        fitted = one_line(cut_at_word(self._lines[y], width), width)
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
        """Show these, oldest first."""
        if len(scores) == len(self._scores) and list(scores[-1:]) == list(self._scores[-1:]):
            return
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
