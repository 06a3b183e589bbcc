"""The top line: which preset trains, on what, and how it stands."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from ..runs.state import RunState, Status
from ..text.formats import TONES, Tone
from ..text.safe import unwrapped

NAME = "femtotui"
_MARKS = {
    Status.STARTING: ("◌", "$foreground-muted"),
    Status.TRAINING: ("●", "$text-success"),
    Status.PAUSED: ("‖", "$text-warning"),
    Status.PARKED: ("‖", "$text-warning"),
    Status.FINISHED: ("✓", "$text-success"),
    Status.FAILED: ("✗", "$text-error"),
}


def header_facts(view: RunState) -> list[str]:
    """What the line says of a run, the most important first; a narrow terminal shows fewer of them."""
    config = view.config
    facts = [f"#{config.preset} {config.title}", config.recipe.name]
    if view.parameters is not None:
        facts.append(f"{view.parameters:,} parameters")
    facts.append(config.tokenizer.kind)
    facts.append(view.started.data_name if view.started is not None else config.data.source)
    return [unwrapped(fact) for fact in facts]


def as_many_as_fit(facts: Sequence[str], width: int, separator: str = " · ") -> str:
    """As many facts as `width` cells hold; an ellipsis stands for those left out."""
    whole = separator.join(facts)
    if cell_len(whole) <= width:
        return whole
    for count in range(len(facts) - 1, 0, -1):
        shown = separator.join(facts[:count]) + " …"
        if cell_len(shown) <= width:
            return shown
    return facts[0][: max(0, width - 1)] + "…" if facts else ""


class Header(Static):
    """One line: the name of the program, the facts of the run, and its status at the right edge."""

    def __init__(self) -> None:
        super().__init__(id="header")
        self._facts: list[str] = []
        self._mark, self._tone, self._status = "", "$foreground-muted", "nothing is training"

    def show_run(self, view: RunState | None) -> None:
        """Show a run, or that none is there."""
        before = self._facts, self._mark, self._status
        if view is None:
            self._facts, self._mark, self._tone, self._status = (
                [],
                "",
                "$foreground-muted",
                "nothing is training",
            )
        else:
            self._facts = header_facts(view)
            self._mark, self._tone = _MARKS[view.status]
            self._status = view.status.value
        if before != (self._facts, self._mark, self._status):
            self.refresh()

    def show_saving(self) -> None:
        """Say that the program saves and is about to leave."""
        self._mark, self._tone, self._status = "◌", "$text-warning", "saving…"
        self.refresh()

    def render(self) -> Content:
        width = self.content_size.width
        status = f"{self._mark} {self._status}".strip()
        room = width - cell_len(status) - 2
        show_name = room > len(NAME) + 40
        name = f"{NAME}   " if show_name else ""
        facts = as_many_as_fit(self._facts, room - len(name))
        gap = " " * max(1, width - len(name) - cell_len(facts) - cell_len(status))
        return Content.assemble(
            (name, "bold $text-accent"), (facts, "$text"), gap, (status, f"bold {self._tone}")
        )


_SEPARATOR = " · "


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
        """Show these."""
        if facts != self._facts:
            self._facts = facts
            self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        """Where it is hidden, nothing; and the screen is laid out anew only for another number of lines."""
        if not self.display:
            return
        text = in_lines(self._facts, self.content_size.width)
        before, self._height = self._height, text.count("\n") + 1
        self.update(Content(text), layout=self._height != before)


NOTE_LINES = 2
FAILURE_LINES = 4


def notice_text(view: RunState | None) -> tuple[str, bool]:
    """The words, and whether they tell of a failure."""
    if view is None:
        return "", False
    if view.status is Status.FAILED and view.failure is not None:
        failure = view.failure
        what_next = (
            "r resumes from the last checkpoint · n starts anew" if view.can_recover else "n tries again"
        )
        return f"{unwrapped(failure.title)}: {unwrapped(failure.message)}\n{what_next}", True
    if view.trouble:
        return f"Not saved: {unwrapped(view.trouble)}\nTraining goes on, and saving is tried again", True
    notes = view.started.notes if view.started is not None else ()
    return " · ".join(unwrapped(note) for note in notes), False


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
    """Takes no room while there is nothing to say. All of it is in the tooltip, where some is left out."""

    def __init__(self) -> None:
        super().__init__(id="notice")
        self._words = ""
        self.display = False

    def show_run(self, view: RunState | None) -> None:
        """Say what there is to say about a run."""
        words, failed = notice_text(view)
        if words == self._words:
            return
        self._words = words
        self.set_class(failed, "-failed")
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
        """Show small figures at the right edge."""
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
