"""A run's entry beside the journal's own, field by field. No Textual in here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from femtotui.core.entry_text import duration, inert, machine_words, plain

from .wording import UNKNOWN, loss, memory

if TYPE_CHECKING:
    from femtotui.core.entry import Entry
    from femtotui.presets import Preset

_JOURNAL_RATES = "journal, 0.001 to 0.00001, warm-up 100"
"""The same in all of its entries."""


@dataclass(frozen=True)
class Row:
    """A field: what this run has, and what the journal noted."""

    field: str
    ours: str
    theirs: str


def comparison(entry: Entry, preset: Preset) -> Iterator[Row]:
    """The fields in the journal's order; a dash where the journal noted nothing, or has no such entry."""
    record = preset.journal
    verdict = entry.state if entry.verdict == "open" else f"{entry.verdict} ({entry.state})"
    yield Row("verdict", verdict, record.verdict if record else UNKNOWN)
    theirs = preset.tokenizer.kind if record else UNKNOWN
    yield Row("tokenizer", f"{entry.tokenizer}, {entry.vocab_size:,} tokens", theirs)
    sizes = f"{entry.width} / {entry.n_layers} / {entry.n_heads}, {entry.parameters:,} parameters"
    model = preset.model
    theirs = f"{model.width} / {model.n_layers} / {model.n_heads}" if record else UNKNOWN
    yield Row("degree / layers / heads", sizes, theirs)
    rates = f"{plain(entry.base_lr)} to {plain(entry.min_lr)}, warm-up {entry.warmup_steps}"
    theirs = _JOURNAL_RATES if record else UNKNOWN
    yield Row("recipe, rates", f"{inert(entry.recipe)}, {rates}", theirs)
    yield Row("step", f"{entry.step:,} of {entry.steps:,}", f"{record.step:,}" if record else UNKNOWN)
    validation = f" (validation {loss(entry.val_loss)})"
    yield Row("loss", loss(entry.loss) + validation, f"{record.loss:.4f}" if record else UNKNOWN)
    ours = f"{duration(entry.elapsed_s)} ({duration(entry.wall_s)} by the clock)"
    noted = record.elapsed_s if record else None
    yield Row("elapsed", ours, UNKNOWN if noted is None else duration(noted))
    yield Row("machine", machine_words(entry), (record.machine if record else None) or UNKNOWN)
    peak = UNKNOWN if entry.peak_rss_mib is None else memory(entry.peak_rss_mib)
    yield Row("RAM", peak, (record.ram if record else None) or UNKNOWN)
    yield Row("data", inert(entry.data_command), record.command if record else UNKNOWN)
    found = entry.score.summary if entry.score else "not looked at yet"
    yield Row("what came of it", inert(found), record.note if record else UNKNOWN)
