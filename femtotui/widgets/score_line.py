"""How well the run does its task, as a curve on one line: it takes no room before there is a score."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from femtotui.core.events import ScoreDone

from ..safe_text import one_line
from ..score_curve import score_bars

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
