"""What must not be overlooked about the run on screen: why it failed, or what stands in for its data."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from ..run_view import RunView, Status
from ..wording import printable

NOTE_LINES = 2
FAILURE_LINES = 4


def notice_text(view: RunView | None) -> tuple[str, bool]:
    """The words, and whether they tell of a failure."""
    if view is None:
        return "", False
    if view.status is Status.FAILED and view.failure is not None:
        failure = view.failure
        what_next = (
            "r resumes from the last checkpoint · n starts anew" if view.can_recover else "n tries again"
        )
        return f"{printable(failure.title)}: {printable(failure.message)}\n{what_next}", True
    if view.trouble:
        return f"Not saved: {printable(view.trouble)}\nTraining goes on, and saving is tried again", True
    notes = view.started.notes if view.started is not None else ()
    return " · ".join(printable(note) for note in notes), False


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

    def show_run(self, view: RunView | None) -> None:
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
