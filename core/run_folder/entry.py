"""The journal entry of a run: all that is worth writing down, gathered from the run's own files.

It can be gathered at any time, by anyone, also of a run that is being trained: nothing in it comes from
memory. `entry_text` puts it into the journal's words.
"""

from __future__ import annotations

import math
import shlex
from collections import deque
from pathlib import Path
from typing import Literal

import msgspec

from .config import RunConfig, TokenizerKind
from .entry_text import entry_markdown
from .errors import RunError
from .events import SampleDone, ScoreDone
from .files import os_error_words, write_atomically
from .history import read_samples, read_scores
from .lock import holder_of
from .note import read_note
from .progress import Progress, read_progress
from .run_info import read_info

FORMAT = 1
ENTRY_NAME = "entry.md"

Verdict = Literal["success", "fail", "open"]
"""What the evaluator found; `open` before it has looked."""

State = Literal["training", "paused", "stopped", "finished", "failed", "broken off", "not saved"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. Losses in nats a token, times in seconds, memory in MiB; None for what is not known yet.

    `machine` and `threads` are of its newest sitting, `begun_on` and `begun_threads` of its first.
    `again` is the command that trains the same once more, `data_command` the one that makes its text.
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
    score = _last(folder, step)
    config, schedule = info.config, info.config.recipe.schedule
    model, train = config.model, config.train
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
        vocab_size=model.vocab_size,
        width=model.width,
        n_layers=model.n_layers,
        n_heads=model.n_heads,
        context=model.context,
        parameters=info.parameters,
        batch=train.batch,
        dropout=model.dropout,
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
        machine=(progress.machine if progress else "") or info.machine,
        threads=(progress.threads if progress else 0) or train.threads,
        begun_on=info.machine,
        begun_threads=train.threads,
        peak_rss_mib=progress.peak_rss_mib if progress else None,
        data_name=info.data.name,
        data_bytes=info.data.n_bytes,
        data_sha256=info.data.sha256,
        data_command=info.data.command,
        data_notes=info.data.notes,
        again=train_command(config),
        score=score,
        sample=_last_sample(folder, step),
        note=read_note(folder),
        message=progress.message if progress else "",
    )


def write_entry(folder: Path) -> None:
    """Brings entry.md up to date. Raises: RunError."""
    text = entry_markdown(gather_entry(folder))
    try:
        write_atomically(folder / ENTRY_NAME, text.encode(errors="replace"))
    except OSError as error:
        raise RunError(f"cannot write {folder / ENTRY_NAME}: {os_error_words(error)}") from error


def train_command(config: RunConfig) -> str:
    """The command that trains the same once more, to the bit on the same machine."""
    train = config.train
    words = ["femtotui", "train", config.preset, "--recipe", config.recipe.name, "--steps", str(train.steps)]
    words += ["--seed", str(train.seed), "--threads", str(train.threads), "--chunk", str(train.chunk)]
    if config.data.paths:
        words += ["--data", *config.data.paths]
    return shlex.join(words)


def _state(folder: Path, progress: Progress | None) -> State:
    if progress is None:
        return "not saved" if holder_of(folder) is None else "training"
    if progress.state in {"training", "paused"} and holder_of(folder) is None:
        return "broken off"
    return progress.state


def _last(folder: Path, step: int) -> ScoreDone | None:
    """The newest score; of one step, the thorough one, which is written last."""
    scores = (score for score in read_scores(folder / "scores.jsonl") if score.step <= step)
    return next(iter(deque(scores, maxlen=1)), None)


def _last_sample(folder: Path, step: int) -> SampleDone | None:
    samples = (sample for sample in read_samples(folder / "samples.jsonl") if sample.step <= step)
    return next(iter(deque(samples, maxlen=1)), None)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
