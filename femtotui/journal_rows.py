"""A run's entry beside the journal's own, field by field, and its score as a curve. No Textual in here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from femtotui.core.entry_text import duration, inert, plain

from .wording import UNKNOWN, loss, memory

if TYPE_CHECKING:
    from femtotui.core.entry import Entry
    from femtotui.core.events import ScoreDone
    from femtotui.presets import Preset

_JOURNAL_RATES = "journal, 0.001 to 0.00001, warm-up 100"
"""The same in all of its entries."""

_BARS = "▁▂▃▄▅▆▇█"


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
    yield Row("machine", inert(entry.machine), (record.machine if record else None) or UNKNOWN)
    peak = UNKNOWN if entry.peak_rss_mib is None else memory(entry.peak_rss_mib)
    yield Row("RAM", peak, (record.ram if record else None) or UNKNOWN)
    yield Row("data", inert(entry.data_command), record.command if record else UNKNOWN)
    found = entry.score.summary if entry.score else "not looked at yet"
    yield Row("what came of it", inert(found), record.note if record else UNKNOWN)


def score_curve(scores: Sequence[ScoreDone], width: int) -> str:
    """The scores so far as bars in `width` cells, the last one as a number, with the unit."""
    if not scores:
        return ""
    last = scores[-1]
    words = f" {last.score:.1%}" if last.unit == "share" else f" {last.score:.3f} {last.unit}"
    values = [score.score for score in scores][-max(1, width - len(words)) :]
    low, high = (0.0, 1.0) if last.unit == "share" else (min(values), max(values))
    span = high - low or 1.0
    bars = "".join(_BARS[min(7, max(0, int((value - low) / span * 8)))] for value in values)
    return bars + words
