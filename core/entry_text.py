"""A journal entry in the journal's own form: a heading with the verdict, a list of facts, what came of it.

A sample may hold anything, so it stands as an indented block in which nothing is Markdown. Every character
of the whole is printable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .entry import Entry

SAMPLE_LINES = 12
_MIB_A_GIB = 1024

_STATES = {
    "training": "still training",
    "paused": "paused",
    "stopped": "stopped, can go on",
    "failed": "broke off",
    "broken off": "broken off, can go on",
    "not saved": "nothing saved yet",
}


def entry_markdown(entry: Entry) -> str:
    """The entry as Markdown, ending with a newline."""
    lines = [heading(entry), "", *(f"- {fact}" for fact in facts(entry))]
    if entry.message:
        lines += ["", inert(entry.message)]
    if entry.sample is not None:
        lines += ["", f"A sample at step {entry.sample.step:,}:", "", *_sample_block(entry.sample.text)]
    if entry.note:  # Markdown of one's own, but nothing else
        lines += ["", *map(_printable, entry.note.expandtabs(4).split("\n"))]
    return (
        "\n".join(lines)
        + f"\n\n<!-- femtotui entry, format {entry.format}; your own words go in note.md -->\n"
    )


def heading(entry: Entry) -> str:
    """`# 2. Training very simple model 2 (success)`, or what keeps it from a verdict."""
    if entry.state == "finished":
        verdict = {"success": "success", "fail": "fail", "open": "not judged"}[entry.verdict]
    else:
        verdict = _STATES[entry.state] + ("" if entry.verdict == "open" else f"; {entry.verdict} so far")
    return f"# {inert(entry.preset)}. Training {inert(entry.title)} ({verdict})"


def facts(entry: Entry) -> Iterator[str]:
    """The facts one by one, in the order and the words of the journal."""
    begun = f"begun: {inert(entry.created)}"
    yield f"run: {inert(entry.run)}, recipe: {inert(entry.recipe)}, seed: {entry.seed}, {begun}"
    yield f"tokenizer: {entry.tokenizer}, {entry.vocab_size:,} tokens"
    yield (
        f"embedding degree: {entry.width}, num layers: {entry.n_layers}, num heads: {entry.n_heads} "
        f"({entry.parameters:,} params), num tokens: {entry.context}, batch: {entry.batch}"
    )
    yield (
        f"dropout: {entry.dropout:g}, base_lr: {plain(entry.base_lr)}, min_lr: {plain(entry.min_lr)}, "
        f"warmup_steps: {entry.warmup_steps}, decay_steps: {entry.decay_steps}"
    )
    losses = f"loss: {_loss(entry.loss)}, validation: {_loss(entry.val_loss)}"
    yield f"step: {entry.step} of {entry.steps}, {losses}"
    sittings = f" in {entry.sittings} sittings" if entry.sittings > 1 else ""
    yield (
        f"elapsed: {duration(entry.elapsed_s)} of training, {duration(entry.wall_s)} by the clock{sittings} "
        f"({machine_words(entry)})"
    )
    yield f"RAM: {_memory(entry.peak_rss_mib)}"
    yield (
        f"data: {code(entry.data_command)} ({inert(entry.data_name)}, {entry.data_bytes:,} bytes, "
        f"sha256 {inert(entry.data_sha256)})"
    )
    for note in entry.data_notes:
        yield f"data, note: {inert(note)}"
    yield f"again: {code(entry.again)}"
    if entry.score is not None:
        kind = "" if entry.score.thorough else ", a quick look"
        yield f"score: {inert(entry.score.summary)} (at step {entry.score.step:,}{kind})"


def machine_words(entry: Entry) -> str:
    """Processor, cores and threads; and what it was begun with, if that was something else."""
    now = f"{inert(entry.machine)}, {_threads(entry.threads)}"
    if entry.machine != entry.begun_on:
        return f"{now}; begun on {inert(entry.begun_on)}, {_threads(entry.begun_threads)}"
    if entry.threads != entry.begun_threads:
        return f"{now}; begun with {_threads(entry.begun_threads)}"
    return now


def _threads(number: int) -> str:
    return f"{number} thread{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """As the journal writes it: `2m 16s`."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m {rest:02}s" if hours else f"{minutes}m {rest}s"


def plain(number: float) -> str:
    """A rate without an exponent: `0.00001`."""
    return f"{number:.12f}".rstrip("0").rstrip(".")


def inert(text: str) -> str:
    """`text` on one line, with nothing in it that a terminal would obey."""
    return _printable(" ".join(text.split()))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def code(text: str) -> str:
    """`text` as a code span, whatever backticks it holds."""
    text = inert(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _sample_block(text: str) -> list[str]:
    lines = text.split("\n")
    shown = lines[:SAMPLE_LINES] + (["…"] if len(lines) > SAMPLE_LINES else [])
    return [f"    {_printable(line)}" for line in shown]


def _loss(value: float | None) -> str:
    return "not known" if value is None else f"{value:.4f}"


def _memory(mib: float | None) -> str:
    if mib is None:
        return "not known"
    return f"{mib / _MIB_A_GIB:.1f} GiB at most" if mib >= _MIB_A_GIB else f"{mib:.0f} MiB at most"
