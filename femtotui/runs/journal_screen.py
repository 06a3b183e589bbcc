"""The Journal screen: the run's entry beside the journal's, its score, a sample, and a note to edit."""

from __future__ import annotations

from itertools import zip_longest
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

from ..text.formats import UNKNOWN, loss, memory, score_curve
from ..text.safe import one_line, printable
from ..widgets.dialogs import ModalInTurn
from ..widgets.tick import LOOK_TICKS

if TYPE_CHECKING:
    from femtotui.presets import Preset

_FIELD_CELLS = 25
_SIDE_BY_SIDE_CELLS = 90


class JournalScreen(ModalInTurn[None]):
    """A run's entry, read from its folder as the run grows. Leaving the screen saves the note."""

    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "save the note and close", priority=True),
        Binding("ctrl+s", "keep", "save the note", priority=True),
        Binding("ctrl+y", "copy", "copy the entry", priority=True),
    ]

    def __init__(self, run: Path, preset: Preset) -> None:
        super().__init__()
        self._run, self._preset = run, preset
        self._saved_note = ""
        self._ticks = 0
        self._asked_to_leave = False

    def compose(self) -> ComposeResult:
        with Vertical(id="journal") as box:
            box.border_title = "journal"
            box.border_subtitle = "escape saves the note and closes · ctrl+y copies all · tab, ↓ scroll"
            with VerticalScroll(id="journal-read"):
                yield Static(id="journal-entry", markup=False)
                yield Static(id="journal-sample", markup=False)
            # Below what scrolls, so that the text being typed is always visible.
            note = TextArea(id="journal-note", soft_wrap=True)
            note.border_title = "your note"
            yield note

    def on_mount(self) -> None:
        note = self.query_one("#journal-note", TextArea)
        try:
            self._saved_note = read_note(self._run)
        except FemtoError as error:
            self._show_error(error)
            note.read_only = True
        note.load_text(self._saved_note)
        note.focus()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_entry)

    def tick(self) -> None:
        self._ticks += 1
        if self._ticks % LOOK_TICKS == 0:
            self._show_entry()

    def _show_error(self, error: FemtoError) -> None:
        self.notify(str(error), title=error.title, severity="error", markup=False)

    def _show_entry(self) -> None:
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
        for field, ours, theirs in comparison(entry, self._preset):
            if beside:
                lines.append(_columns(field, ours, theirs, half))
            else:
                more = "" if theirs == UNKNOWN else f" · journal: {theirs}"
                name = (f"{field}: ", "bold $text-accent")
                lines.append(Content.assemble(name, ours, (more, "$foreground-muted")))
        scores = list(read_scores(self._run))
        if scores:
            label = one_line(f"score, {scores[-1].evaluator}", _FIELD_CELLS - 1).ljust(_FIELD_CELLS)
            curve = score_curve(scores, width - len(label))
            lines.append(Content.assemble((label, "bold $text-accent"), curve))
        return Content("\n").join(lines)

    # -- the note --------------------------------------------------------------------------------------

    def action_keep(self) -> bool:
        """Save the note if it has changed; True if nothing is left to save."""
        note = self.query_one("#journal-note", TextArea).text.strip()
        if note == self._saved_note:
            return True
        try:
            save_note(self._run, note)
        except FemtoError as error:
            self._show_error(error)
            return False
        self._saved_note = note
        self.notify("the note is saved", markup=False)
        return True

    def action_leave(self) -> None:
        """Save the note and close; if it cannot be saved, close only at the second request."""
        if self.action_keep() or self._asked_to_leave:
            self.dismiss()
            return
        self._asked_to_leave = True
        self.notify("press escape again to leave without saving it", severity="warning", markup=False)

    def action_copy(self) -> None:
        try:
            self.app.copy_to_clipboard(printable(entry_markdown(gather_entry(self._run))))
        except FemtoError as error:
            self._show_error(error)
            return
        self.notify("the entry is copied as Markdown", markup=False)


def _columns(field: str, ours: str, theirs: str, width: int, style: str = "") -> Content:
    """A field and two wrapped columns of `width` cells."""
    left, right = Content(ours).wrap(width - 1), Content(theirs).wrap(width - 1)
    rows = (
        Content.assemble(
            (f"{'' if number else field:<{_FIELD_CELLS}}", "bold $text-accent"),
            (f"{mine.plain:<{width}} ", style),
            (other.plain, style or "$foreground-muted"),
        )
        for number, (mine, other) in enumerate(zip_longest(left, right, fillvalue=Content("")))
    )
    return Content("\n").join(rows)


_JOURNAL_RATES = "journal, 0.001 to 0.00001, warm-up 100"
"""The same in all of its entries."""


def comparison(entry: Entry, preset: Preset) -> list[tuple[str, str, str]]:
    """Field, this run's value and the journal's, in its order; a dash where the journal has none."""
    theirs = _journal_fields(preset)
    return [(field, ours, theirs.get(field) or UNKNOWN) for field, ours in _run_fields(entry).items()]


def _run_fields(entry: Entry) -> dict[str, str]:
    sizes = f"{entry.width} / {entry.n_layers} / {entry.n_heads}"
    rates = f"{plain(entry.base_lr)} to {plain(entry.min_lr)}, warm-up {entry.warmup_steps}"
    return {
        "verdict": entry.state if entry.verdict == "open" else f"{entry.verdict} ({entry.state})",
        "tokenizer": f"{entry.tokenizer}, {entry.vocab_size:,} tokens",
        "degree / layers / heads": f"{sizes}, {entry.parameters:,} parameters",
        "recipe, rates": f"{inert(entry.recipe)}, {rates}",
        "step": f"{entry.step:,} of {entry.steps:,}",
        "loss": f"{loss(entry.loss)} (validation {loss(entry.val_loss)})",
        "elapsed": f"{duration(entry.elapsed_s)} ({duration(entry.wall_s)} by the clock)",
        "machine": machine_words(entry),
        "RAM": UNKNOWN if entry.peak_rss_mib is None else memory(entry.peak_rss_mib),
        "data": inert(entry.data_command),
        "result": inert(entry.score.summary if entry.score else "not scored yet"),
    }


def _journal_fields(preset: Preset) -> dict[str, str | None]:
    record, model = preset.journal, preset.model
    if record is None:
        return {}
    return {
        "verdict": record.verdict,
        "tokenizer": preset.tokenizer.kind,
        "degree / layers / heads": f"{model.width} / {model.n_layers} / {model.n_heads}",
        "recipe, rates": _JOURNAL_RATES,
        "step": f"{record.step:,}",
        "loss": f"{record.loss:.4f}",
        "elapsed": None if record.elapsed_s is None else duration(record.elapsed_s),
        "machine": record.machine,
        "RAM": record.ram,
        "data": record.command,
        "result": record.note,
    }
