"""What a training says while it goes on: frozen, typed events, in the past participle.

One stream serves the run folder, the app and `femtotui train --json`; there each event is one JSON object
whose field `event` names it (`step_done`, `run_finished`, ...). Losses are in nats a token, times in
seconds or milliseconds of training (pauses do not count), memory in MiB.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from .config import RunConfig


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=_snake_case):
    """The base of all events."""


class Baselines(msgspec.Struct, frozen=True, kw_only=True):
    """What losses mean on this data, in nats a token.

    `uniform` knows nothing (ln V), `unigram` and `bigram` know the counts of the training text and are
    measured on the validation text, `floor` is what knowing every rule of a synthetic source would give.
    """

    uniform: float
    unigram: float
    bigram: float
    floor: float | None = None


class RunStarted(Event, frozen=True):
    """The first event of a run, and of each resumption. `step` is where it starts from.

    `notes` are things that must be said plainly, such as a stand-in for data that is not there.
    `bytes_per_token` (of the validation text) turns nats a token into bits a byte.
    """

    run: str
    config: RunConfig
    step: int
    elapsed_s: float
    parameters: int
    resumed: bool
    data_name: str
    data_sha256: str
    data_bytes: int
    bytes_per_token: float
    baselines: Baselines
    notes: tuple[str, ...]
    threads: int
    chunk: int
    blas: str
    machine: str
    rss_mib: float


class StepDone(Event, frozen=True):
    """One optimizer step: `step` counts from 1, `loss` is of the batch before the update."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    ms: float
    elapsed_s: float
    rss_mib: float


class EvalDone(Event, frozen=True):
    """The model measured on text it never trains on, beside the mean training loss of the last 20 steps."""

    step: int
    val_loss: float
    train_loss: float
    elapsed_s: float


class ScoreDone(Event, frozen=True):
    """What an evaluator found: how well the task itself is done, beside the loss.

    `score` is in `unit`: a `share` from 0 to 1 (more is better) or `bits a byte` (less is better). `details`
    are the evaluator's own figures by name, `summary` is one line for people, and `thorough` tells a score
    over all there is from a quick one during training.
    """

    step: int
    evaluator: str
    score: float
    unit: Literal["share", "bits a byte"]
    verdict: Literal["success", "fail"]
    summary: str
    details: dict[str, float]
    thorough: bool


class SampleDone(Event, frozen=True):
    """A sample of the model at a step; `text` may hold any bytes, decoded with replacement."""

    step: int
    prompt: str
    text: str
    seed: int


class CheckpointSaved(Event, frozen=True):
    """The whole state is safe on disk; `path` is the file."""

    step: int
    path: str
    ms: float


class SavingFailed(Event, frozen=True):
    """Something could not be written; `message` says what and why. What was saved before stays.

    Training goes on: rows wait in memory, and saving is tried again when the next checkpoint is due.
    """

    step: int
    message: str


class Paused(Event, frozen=True):
    """Training waits, its state saved."""

    step: int


class Resumed(Event, frozen=True):
    """Training goes on after a pause."""

    step: int


class RunFinished(Event, frozen=True):
    """The last event of a run that was not broken off. `train_loss` is the mean of the last 20 steps.

    `reason` is `finished` (all steps done) or `stopped` (asked to stop: it can be resumed).
    """

    step: int
    train_loss: float
    val_loss: float
    elapsed_s: float
    peak_rss_mib: float
    parameters: int
    run: str
    reason: str


class RunFailed(Event, frozen=True):
    """The run cannot go on. `run` is None if it never got a folder; what was saved before stays."""

    step: int
    title: str
    message: str
    run: str | None = None


AnyEvent = (
    RunStarted
    | StepDone
    | EvalDone
    | ScoreDone
    | SampleDone
    | CheckpointSaved
    | SavingFailed
    | Paused
    | Resumed
    | RunFinished
    | RunFailed
)
