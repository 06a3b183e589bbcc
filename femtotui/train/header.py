"""The lines about the current run: header, summary, notice and status line, and the news in that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from ..runs.actions import StatusMessage
from ..runs.state import RunState, Status
from ..runs.verdict import too_early_words
from ..text.formats import TONES, Tone, duration
from ..text.safe import unwrapped

NAME = "femtotui"
NOTE_LINES = 2
FAILURE_LINES = 4
_SEPARATOR = " · "
MARKS = {
    Status.STARTING: ("◌", "$foreground-muted"),
    Status.TRAINING: ("●", "$text-success"),
    Status.PAUSED: ("‖", "$text-warning"),
    Status.PARKED: ("‖", "$text-warning"),
    Status.FINISHED: ("✓", "$text-success"),
    Status.FAILED: ("✗", "$text-error"),
}


def header_facts(state: RunState) -> list[str]:
    """Facts about a run, the most important first; a narrow terminal shows fewer of them."""
    config = state.config
    facts = [f"#{config.preset} {config.title}", config.recipe.name]
    if state.parameters is not None:
        facts.append(f"{state.parameters:,} parameters")
    facts.append(config.tokenizer.kind)
    facts.append(state.started.data_name if state.started is not None else config.data.source)
    return [unwrapped(fact) for fact in facts]


def as_many_as_fit(facts: Sequence[str], width: int) -> str:
    """As many facts as `width` cells hold; an ellipsis stands for those left out."""
    whole = _SEPARATOR.join(facts)
    if cell_len(whole) <= width:
        return whole
    for count in range(len(facts) - 1, 0, -1):
        shown = _SEPARATOR.join(facts[:count]) + " …"
        if cell_len(shown) <= width:
            return shown
    return facts[0][: max(0, width - 1)] + "…" if facts else ""


class Header(Static):
    """One line: the name of the program, the facts of the run, and its status at the right edge."""

    def __init__(self) -> None:
        super().__init__(id="header")
        self._shown: tuple[list[str], str, str, str] = ([], "", "$foreground-muted", "nothing is training")

    def show_run(self, state: RunState) -> None:
        self._show(header_facts(state), *MARKS[state.status], state.status.value)

    def show_saving(self) -> None:
        self._show(self._shown[0], "◌", "$text-warning", "saving…")

    def _show(self, *shown: *tuple[list[str], str, str, str]) -> None:
        if shown != self._shown:
            self._shown = shown
            self.refresh()

    def render(self) -> Content:
        width = self.content_size.width
        facts, mark, tone, word = self._shown
        status = f"{mark} {word}".strip()
        room = width - cell_len(status) - 2
        name = f"{NAME}   " if room > len(NAME) + 40 else ""
        shown = as_many_as_fit(facts, room - len(name))
        gap = " " * max(1, width - len(name) - cell_len(shown) - cell_len(status))
        return Content.assemble((name, "bold $text-accent"), (shown, "$text"), gap, (status, f"bold {tone}"))


def in_lines(facts: Sequence[str], width: int) -> str:
    """The facts in as many lines as they need; none is broken in two."""
    lines: list[str] = []
    for fact in facts:
        if lines and cell_len(lines[-1]) + len(_SEPARATOR) + cell_len(fact) <= width:
            lines[-1] += f"{_SEPARATOR}{fact}"
        else:
            lines.append(fact)
    return "\n".join(lines)


class Summary(Static):
    """Facts of a run in a line or two."""

    def __init__(self) -> None:
        super().__init__(id="summary")
        self._facts: list[str] = []
        self._height = 0

    def show_facts(self, facts: list[str]) -> None:
        if facts != self._facts:
            self._facts = facts
            self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        """Do nothing where it is hidden; lay the screen out again only if the number of lines changes."""
        if not self.display:
            return
        text = in_lines(self._facts, self.content_size.width)
        before, self._height = self._height, text.count("\n") + 1
        self.update(Content(text), layout=self._height != before)


NoticeKind = Literal["note", "failed", "finished"]


def notice_text(state: RunState) -> tuple[str, NoticeKind]:
    """The text, and what it is about."""
    if state.status is Status.FAILED and state.failure is not None:
        failure = state.failure
        what_next = (
            "r resumes from the last checkpoint · n starts a new run"
            if state.can_recover
            else "n tries again"
        )
        return f"{unwrapped(failure.title)}: {unwrapped(failure.message)}\n{what_next}", "failed"
    if state.trouble:
        return (
            f"Not saved: {unwrapped(state.trouble)}\nTraining continues, and saving is tried again",
            "failed",
        )
    if state.status is Status.FINISHED:
        learnt = "" if state.score is None else f": {unwrapped(state.score.summary)}"
        what_next = "s try a prompt · v race the journal's recipe · j its entry · n again with another seed"
        return f"Finished after {duration(state.elapsed_s)}{learnt}\n{what_next}", "finished"
    notes = state.started.notes if state.started is not None else ()
    return "".join(
        f"{'note: ' if n == 0 else ' · '}{unwrapped(note)}" for n, note in enumerate(notes)
    ), "note"


def cut_to(words: str, width: int, most: int) -> str:
    """The words in `most` lines of `width` cells; where some are left out, an ellipsis says so.

    The last line of words that have several is always there: it says what to do.
    """
    *body, last = [
        [str(line).rstrip() for line in Content(paragraph).wrap(max(1, width))]
        for paragraph in words.split("\n")
    ]
    above = [line for paragraph in body for line in paragraph]
    if not body:
        above, last = last, []
    room = max(1, most - len(last))
    if len(above) > room:
        above = [*above[: room - 1], f"{above[room - 1][: width - 2]} …"]
    return "\n".join([*above, *last])


class Notice(Static):
    """Failures and remarks about a run; hidden while there are none. The tooltip has the whole text."""

    def __init__(self) -> None:
        super().__init__(id="notice")
        self._words = ""
        self.display = False

    def show_run(self, state: RunState) -> None:
        words, kind = notice_text(state)
        if words == self._words:
            return
        self._words = words
        self.set_class(kind == "failed", "-failed")
        self.set_class(kind == "finished", "-finished")
        self.display = bool(words)
        self.tooltip = Content(words) if words else None
        self._lay_out(self.app.size.width)

    def on_resize(self) -> None:
        self._lay_out(self.content_size.width)

    def _lay_out(self, width: int) -> None:
        most = FAILURE_LINES if self.has_class("-failed") else NOTE_LINES
        text = cut_to(self._words, width, most)
        self.styles.height = text.count("\n") + 1  # `auto` is a resize behind
        self.update(Content(text))


class StatusLine(Static):
    """News at the left, small figures at the right where there is room for both."""

    def __init__(self) -> None:
        super().__init__(id="status")
        self.news = ""
        self._tone: Tone = "plain"
        self._figures = ""

    def say(self, news: str, tone: Tone = "plain") -> None:
        """Show one line of news; it stays until the next."""
        self.news, self._tone = unwrapped(news), tone
        self.refresh()

    def show_figures(self, figures: str) -> None:
        if figures != self._figures:
            self._figures = figures
            self.refresh()

    def render(self) -> Content:
        width = self.content_size.width
        news = Content.styled(self.news, TONES[self._tone])
        room = width - cell_len(self._figures) - 2
        if not self._figures or cell_len(self.news) > room:
            return news.truncate(width, ellipsis=True)
        gap = " " * (width - cell_len(self.news) - cell_len(self._figures))
        return Content.assemble(news, gap, (self._figures, "$foreground-muted"))


class RunNews:
    """Compares a run with what it was at the last update. A run that is new here is compared with nothing."""

    def __init__(self) -> None:
        self._state: RunState | None = None
        self._status: Status | None = None
        self._expected: tuple[RunState, int | None] | None = None

    def status_of(self, state: RunState) -> Status | None:
        """The status at the last update; None for another run."""
        return self._status if state is self._state else None

    def expect_checkpoint(self) -> None:
        if self._state is not None:
            self._expected = (self._state, self._state.checkpoint_step)

    def update(self, state: RunState) -> list[StatusMessage]:
        """The messages since the last update."""
        before = self.status_of(state)
        self._state, self._status = state, state.status
        status = status_news(state, before) if state.status is not before else None
        messages = [status] if status is not None else []
        if self._expected is not None and self._expected != (state, state.checkpoint_step):
            if self._expected[0] is state:
                messages.append(StatusMessage(f"step {state.checkpoint_step or 0:,} is saved", "good"))
            self._expected = None
        return messages


def status_news(state: RunState, before: Status | None) -> StatusMessage | None:
    """A message about a run whose status was `before`, None if it was not looked at."""
    match state.status:
        case Status.PAUSED:
            early = too_early_words(state)
            words = f"paused at step {state.step:,}; the run is saved{early and ' · ' + early}"
            return StatusMessage(words, "warning")
        case Status.FINISHED if before is not None:
            return StatusMessage(f"finished after {state.step:,} steps; n starts a new run", "good")
        case Status.FAILED if before is not None and state.failure is not None:
            return StatusMessage(f"{state.failure.title} at step {state.step:,}", "error")
        case Status.TRAINING if before is Status.PAUSED:
            return StatusMessage("resumed", "good")
    return None
