"""The journal screen: the run's own entry beside the original one, its score, a sample, a note to edit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static, TextArea

from femtotui.core.errors import FemtoError
from femtotui.core.run_folder.entry import (
    Entry,
    duration,
    entry_markdown,
    gather_entry,
    heading,
    inert,
    machine_words,
    plain,
    read_note,
    save_note,
)
from femtotui.core.run_folder.logs import read_scores

from ..chart.sparkline import score_curve
from ..text.formats import UNKNOWN, loss, memory
from ..text.safe import one_line, printable
from ..widgets.dialogs import ModalInTurn

if TYPE_CHECKING:
    from femtotui.core.run_folder.entry import Entry
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
        scores = list(read_scores(self._run))
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
            save_note(self._run, note)
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


_JOURNAL_RATES = "journal, 0.001 to 0.00001, warm-up 100"
"""The same in all of its entries."""


@dataclass(frozen=True)
class EntryRow:
    """A field: what this run has, and what the journal noted."""

    field: str
    ours: str
    theirs: str


def comparison(entry: Entry, preset: Preset) -> Iterator[EntryRow]:
    """The fields in the journal's order; a dash where the journal noted nothing, or has no such entry."""
    record = preset.journal
    verdict = entry.state if entry.verdict == "open" else f"{entry.verdict} ({entry.state})"
    yield EntryRow("verdict", verdict, record.verdict if record else UNKNOWN)
    theirs = preset.tokenizer.kind if record else UNKNOWN
    yield EntryRow("tokenizer", f"{entry.tokenizer}, {entry.vocab_size:,} tokens", theirs)
    sizes = f"{entry.width} / {entry.n_layers} / {entry.n_heads}, {entry.parameters:,} parameters"
    model = preset.model
    theirs = f"{model.width} / {model.n_layers} / {model.n_heads}" if record else UNKNOWN
    yield EntryRow("degree / layers / heads", sizes, theirs)
    rates = f"{plain(entry.base_lr)} to {plain(entry.min_lr)}, warm-up {entry.warmup_steps}"
    theirs = _JOURNAL_RATES if record else UNKNOWN
    yield EntryRow("recipe, rates", f"{inert(entry.recipe)}, {rates}", theirs)
    yield EntryRow("step", f"{entry.step:,} of {entry.steps:,}", f"{record.step:,}" if record else UNKNOWN)
    validation = f" (validation {loss(entry.val_loss)})"
    yield EntryRow("loss", loss(entry.loss) + validation, f"{record.loss:.4f}" if record else UNKNOWN)
    ours = f"{duration(entry.elapsed_s)} ({duration(entry.wall_s)} by the clock)"
    noted = record.elapsed_s if record else None
    yield EntryRow("elapsed", ours, UNKNOWN if noted is None else duration(noted))
    yield EntryRow("machine", machine_words(entry), (record.machine if record else None) or UNKNOWN)
    peak = UNKNOWN if entry.peak_rss_mib is None else memory(entry.peak_rss_mib)
    yield EntryRow("RAM", peak, (record.ram if record else None) or UNKNOWN)
    yield EntryRow("data", inert(entry.data_command), record.command if record else UNKNOWN)
    found = entry.score.summary if entry.score else "not looked at yet"
    yield EntryRow("what came of it", inert(found), record.note if record else UNKNOWN)
