"""The journal screen: the run's own entry beside the original one, its score, a sample, a note to edit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static, TextArea

from femtotui.core.entry import Entry, gather_entry
from femtotui.core.entry_text import entry_markdown, heading
from femtotui.core.errors import FemtoError
from femtotui.core.history import read_scores
from femtotui.core.note import read_note

from ..journal_command import keep_note
from ..journal_rows import comparison
from ..safe_text import one_line, printable
from ..score_curve import score_curve
from ..wording import UNKNOWN
from .in_turn import ModalInTurn

if TYPE_CHECKING:
    from femtotui.presets import Preset

REFRESH_SECONDS = 3.0
_FIELD_CELLS = 25
_SIDE_BY_SIDE_CELLS = 90


class JournalScreen(ModalInTurn[None]):
    """What is on it comes from the run folder, and follows it. The note is kept when the screen is left."""

    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "keep the note and close", priority=True),
        Binding("ctrl+s", "keep", "keep the note", priority=True),
        Binding("ctrl+y", "copy", "copy the entry", priority=True),
    ]

    def __init__(self, run: Path, preset: Preset) -> None:
        super().__init__()
        self._run, self._preset = run, preset
        self._kept_note = ""
        self._asked_to_leave = False

    def compose(self) -> ComposeResult:
        with Vertical(id="journal") as box:
            box.border_title = "journal"
            box.border_subtitle = "escape keeps the note and closes · ctrl+y copies all · tab, ↓ scroll"
            with VerticalScroll(id="journal-read"):
                yield Static(id="journal-entry", markup=False)
                yield Static(id="journal-sample", markup=False)
            # Below what scrolls, so that one always sees what one types.
            note = TextArea(id="journal-note", soft_wrap=True)
            note.border_title = "your note"
            yield note

    def on_mount(self) -> None:
        note = self.query_one("#journal-note", TextArea)
        try:
            self._kept_note = read_note(self._run)
        except FemtoError as error:
            self.notify(str(error), title=error.title, severity="error", markup=False)
            note.read_only = True
        note.load_text(self._kept_note)
        note.focus()
        self.set_interval(REFRESH_SECONDS, self._fill)

    def on_resize(self) -> None:
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        head = self.query_one("#journal-entry", Static)
        try:
            entry = gather_entry(self._run)
        except FemtoError as error:
            head.update(Content(printable(f"{error.title}: {error}")))
            return
        head.update(self._entry_text(entry, head.content_size.width))
        sample = entry.sample
        shown = f"sample at step {sample.step:,}\n{printable(sample.text)}" if sample else "no sample yet"
        self.query_one("#journal-sample", Static).update(Content(shown))

    def _entry_text(self, entry: Entry, width: int) -> Content:
        lines = [Content.styled(heading(entry).removeprefix("# "), "bold")]
        beside = width >= _SIDE_BY_SIDE_CELLS
        if beside:
            half = (width - _FIELD_CELLS) // 2 - 1
            lines.append(_columns("", "this run", "the journal", half, "bold"))
        for row in comparison(entry, self._preset):
            if beside:
                lines.append(_columns(row.field, row.ours, row.theirs, half))
            else:
                theirs = "" if row.theirs == UNKNOWN else f" · journal: {row.theirs}"
                name = (f"{row.field}: ", "bold $text-accent")
                lines.append(Content.assemble(name, row.ours, (theirs, "$foreground-muted")))
        scores = list(read_scores(self._run / "scores.jsonl"))
        if scores:
            label = one_line(f"score, {scores[-1].evaluator}", _FIELD_CELLS - 1).ljust(_FIELD_CELLS)
            curve = score_curve(scores, width - len(label))
            lines.append(Content.assemble((label, "bold $text-accent"), curve))
        return Content("\n").join(lines)

    # -- the note --------------------------------------------------------------------------------------

    def action_keep(self) -> bool:
        """Write the note, if it has changed; True if there is nothing left to write."""
        note = self.query_one("#journal-note", TextArea).text.strip()
        if note == self._kept_note:
            return True
        try:
            keep_note(self._run, note)
        except FemtoError as error:
            self.notify(str(error), title=error.title, severity="error", markup=False)
            return False
        self._kept_note = note
        self.notify("the note is kept", markup=False)
        return True

    def action_leave(self) -> None:
        """Keep the note and close; where it cannot be kept, only when asked twice."""
        if self.action_keep() or self._asked_to_leave:
            self.dismiss()
            return
        self._asked_to_leave = True
        self.notify("escape once more leaves without it", severity="warning", markup=False)

    def action_copy(self) -> None:
        """Copy the whole entry as Markdown."""
        try:
            self.app.copy_to_clipboard(printable(entry_markdown(gather_entry(self._run))))
        except FemtoError as error:
            self.notify(str(error), title=error.title, severity="error", markup=False)
            return
        self.notify("the entry is copied as Markdown", markup=False)


def _columns(field: str, ours: str, theirs: str, width: int, style: str = "") -> Content:
    """A field and two wrapped columns of `width` cells."""
    left, right = Content(ours).wrap(width - 1), Content(theirs).wrap(width - 1)
    rows: list[Content] = []
    for number in range(max(len(left), len(right))):
        mine = left[number].plain if number < len(left) else ""
        other = right[number].plain if number < len(right) else ""
        name = field if number == 0 else ""
        rows.append(
            Content.assemble(
                (f"{name:<{_FIELD_CELLS}}", "bold $text-accent"),
                (f"{mine:<{width}} ", style),
                (other, style or "$foreground-muted"),
            )
        )
    return Content("\n").join(rows)
