"""The journal entry of a run, gathered at any time from the files in its folder, and the user's note."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from ..config import TokenizerKind
from ..errors import RunError
from ..events import SampleDone, ScoreDone
from ..files import escaped, read_limited, reraise_os_errors, write_atomically
from .info import Progress, RunFile, read_info, read_progress
from .lock import holder_of
from .logs import read_samples, read_scores

FORMAT = 1

Verdict = Literal["success", "fail", "open"]
"""The evaluator's verdict; `open` before there is one."""

State = Literal["training", "paused", "stopped", "finished", "failed", "broken off", "not saved"]

_Row = TypeVar("_Row", ScoreDone, SampleDone)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of an entry: losses in nats per token, times in seconds, memory in MiB; None if not known.

    `machine` and `threads` are those of the newest sitting, `begun_on` and `begun_threads` of the first.
    `again` is the shell command that repeats the training, `data_command` the one that creates its text.
    """

    format: int = FORMAT
    run: str
    preset: str
    title: str
    created: str
    state: State
    verdict: Verdict
    recipe: str
    seed: int
    tokenizer: TokenizerKind
    vocab_size: int
    width: int
    n_layers: int
    n_heads: int
    context: int
    parameters: int
    batch: int
    dropout: float
    base_lr: float
    min_lr: float
    warmup_steps: int
    decay_steps: int
    step: int
    steps: int
    loss: float | None
    val_loss: float | None
    elapsed_s: float
    wall_s: float
    sittings: int
    machine: str
    threads: int
    begun_on: str
    begun_threads: int
    peak_rss_mib: float | None
    data_name: str
    data_bytes: int
    data_sha256: str
    data_command: str
    data_notes: tuple[str, ...]
    again: str
    score: ScoreDone | None
    sample: SampleDone | None
    note: str
    message: str


def gather_entry(folder: Path) -> Entry:
    """The entry of the run in `folder`. Raises: RunError if its files cannot be read."""
    info, progress = read_info(folder), read_progress(folder)
    step = progress.step if progress else 0
    score = _last(read_scores(folder), step)
    config, schedule = info.config, info.config.recipe.schedule
    train = config.train
    return Entry(
        run=folder.name,
        preset=config.preset,
        title=config.title,
        created=info.created,
        state=_state(folder, progress),
        verdict=score.verdict if score else "open",
        recipe=config.recipe.name,
        seed=train.seed,
        tokenizer=config.tokenizer.kind,
        parameters=info.parameters,
        batch=train.batch,
        base_lr=schedule.base_lr,
        min_lr=schedule.min_lr,
        warmup_steps=schedule.warmup_steps,
        decay_steps=schedule.decay_steps or max(1, train.steps - schedule.warmup_steps),
        step=step,
        steps=train.steps,
        loss=_finite(progress.train_loss) if progress else None,
        val_loss=_finite(progress.val_loss) if progress else None,
        elapsed_s=progress.elapsed_s if progress else 0.0,
        wall_s=progress.wall_s if progress else 0.0,
        sittings=progress.sittings if progress else 0,
        machine=progress.machine if progress else info.machine,
        threads=progress.threads if progress else train.threads,
        begun_on=info.machine,
        begun_threads=train.threads,
        peak_rss_mib=progress.peak_rss_mib if progress else None,
        data_name=info.data.name,
        data_bytes=info.data.n_bytes,
        data_sha256=info.data.sha256,
        data_command=info.data.command,
        data_notes=info.data.notes,
        again=info.command,
        score=score,
        sample=_last(read_samples(folder), step),
        note=read_note(folder),
        message=progress.message if progress else "",
        **msgspec.structs.asdict(config.model),
    )


def write_entry(folder: Path) -> None:
    """Bring entry.md up to date. Raises: RunError."""
    text = entry_markdown(gather_entry(folder))
    with reraise_os_errors(RunError, f"write {folder / RunFile.ENTRY}"):
        write_atomically(folder / RunFile.ENTRY, text.encode(errors="replace"))


def _state(folder: Path, progress: Progress | None) -> State:
    if progress is not None and progress.state not in {"training", "paused"}:
        return progress.state
    is_held = holder_of(folder) is not None
    if progress is None:
        return "training" if is_held else "not saved"
    return progress.state if is_held else "broken off"


def _last(rows: Iterator[_Row], step: int) -> _Row | None:
    """The last row up to `step`; of the scores of one step that is the thorough one."""
    return next(iter(deque((row for row in rows if row.step <= step), maxlen=1)), None)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


SAMPLE_LINES = 12
_MIB_A_GIB = 1024

_STATES = {
    "training": "still training",
    "paused": "paused",
    "stopped": "stopped, can be resumed",
    "failed": "failed",
    "broken off": "broken off, can be resumed",
    "not saved": "nothing saved yet",
}


def entry_markdown(entry: Entry) -> str:
    """The entry as Markdown, ending with a newline."""
    lines = [heading(entry), "", *(f"- {fact}" for fact in facts(entry))]
    if entry.message:
        lines += ["", inert(entry.message)]
    if entry.sample is not None:
        lines += ["", f"A sample at step {entry.sample.step:,}:", "", *_sample_block(entry.sample.text)]
    if entry.note:  # may contain Markdown, but no control characters
        lines += ["", *map(escaped, entry.note.expandtabs(4).split("\n"))]
    return (
        "\n".join(lines)
        + f"\n\n<!-- femtotui entry, format {entry.format}; your notes go in {RunFile.NOTE} -->\n"
    )


def heading(entry: Entry) -> str:
    """`# 2. Training very simple model 2 (success)`, or its state."""
    if entry.state == "finished":
        verdict = {"success": "success", "fail": "fail", "open": "not judged"}[entry.verdict]
    else:
        verdict = _STATES[entry.state] + ("" if entry.verdict == "open" else f"; {entry.verdict} so far")
    return f"# {inert(entry.preset)}. Training {inert(entry.title)} ({verdict})"


def facts(entry: Entry) -> Iterator[str]:
    """The facts, one per line, in the order and words of the journal."""
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
    if entry.again:
        yield f"again: {code(entry.again)}"
    if entry.score is not None:
        kind = "" if entry.score.thorough else ", a quick look"
        yield f"score: {inert(entry.score.summary)} (at step {entry.score.step:,}{kind})"


def machine_words(entry: Entry) -> str:
    """Processor, cores and threads; also those of the first sitting if they were different."""
    now = f"{inert(entry.machine)}, {_threads(entry.threads)}"
    if entry.machine != entry.begun_on:
        return f"{now}; begun on {inert(entry.begun_on)}, {_threads(entry.begun_threads)}"
    if entry.threads != entry.begun_threads:
        return f"{now}; begun with {_threads(entry.begun_threads)}"
    return now


def _threads(number: int) -> str:
    return f"{number} thread{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time as in the journal: `2m 16s`."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m {rest:02}s" if hours else f"{minutes}m {rest}s"


def plain(number: float) -> str:
    """A rate without an exponent: `0.00001`."""
    return f"{number:.12f}".rstrip("0").rstrip(".")


def inert(text: str) -> str:
    """`text` on one line, control characters escaped."""
    return escaped(" ".join(text.split()))


def code(text: str) -> str:
    """`text` as a Markdown code span, whatever backticks it contains."""
    text = inert(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _sample_block(text: str) -> list[str]:
    lines = text.split("\n")
    shown = lines[:SAMPLE_LINES] + (["…"] if len(lines) > SAMPLE_LINES else [])
    return [f"    {escaped(line)}" for line in shown]


def _loss(value: float | None) -> str:
    return "not known" if value is None else f"{value:.4f}"


def _memory(mib: float | None) -> str:
    if mib is None:
        return "not known"
    return f"{mib / _MIB_A_GIB:.1f} GiB at most" if mib >= _MIB_A_GIB else f"{mib:.0f} MiB at most"


MAX_NOTE_BYTES = 1024 * 1024


def read_note(folder: Path) -> str:
    """The note of the run in `folder`, empty if there is none.

    Raises: RunError if it cannot be read or is longer than a note may be.
    """
    path = folder / RunFile.NOTE
    with reraise_os_errors(RunError, f"read {path}"), suppress(FileNotFoundError):
        return read_limited(path, MAX_NOTE_BYTES).decode(errors="replace").strip()
    return ""


def save_note(folder: Path, note: str) -> None:
    """Replace a run's note, and bring its entry up to date. Raises: RunError."""
    write_note(folder, note)
    write_entry(folder)


def write_note(folder: Path, note: str) -> None:
    """Replace the note atomically. Raises: RunError."""
    data = f"{note.strip()}\n".encode(errors="replace")
    if len(data) > MAX_NOTE_BYTES:
        raise RunError(f"a note has at most {MAX_NOTE_BYTES:,} bytes, this one {len(data):,}")
    with reraise_os_errors(RunError, f"write {folder / RunFile.NOTE}"):
        write_atomically(folder / RunFile.NOTE, data)
