"""Events of a training: frozen, typed, named by past participles.

One stream serves the run folder and every front end. As JSON, each event is one object whose field `event`
names it (`step_done`, `run_finished`, ...). Losses are in nats per token, times in seconds or milliseconds
of training (pauses do not count), memory in MiB.
"""

from __future__ import annotations

import math
import re
from typing import Literal

import msgspec

from .config import RunConfig


def snake_case(name: str) -> str:
    """`StepDone` as `step_done`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=snake_case):
    """Base of all events."""


class Baselines(msgspec.Struct, frozen=True, kw_only=True):
    """Reference losses on this data, in nats per token.

    `uniform` is random guessing (ln V); `unigram` and `bigram` count the training text and are measured on
    the validation text; `floor` is the lowest possible loss of a synthetic source.
    """

    uniform: float
    unigram: float
    bigram: float
    floor: float | None = None


class RunStarted(Event, frozen=True):
    """The first event of a run, and of each resumption. `step` is where it starts.

    `notes` must be shown to the user, such as a stand-in for missing data. `bytes_per_token` (of the
    validation windows) converts nats per token to bits per byte.
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
    """The validation loss, beside the mean training loss of the last 20 steps."""

    step: int
    val_loss: float
    train_loss: float
    elapsed_s: float


class ScoreDone(Event, frozen=True):
    """An evaluator's result: how well the model does its task.

    `score` is in `unit`: a `share` from 0 to 1 (more is better) or `bits a byte` (less is better). `details`
    are the evaluator's figures by name, `summary` is one readable line; `thorough` distinguishes a score over
    all tasks from a quick one during training.
    """

    step: int
    evaluator: str
    score: float
    unit: Literal["share", "bits a byte"]
    verdict: Literal["success", "fail"]
    summary: str
    details: dict[str, float]
    thorough: bool


class StreamStatistics(msgspec.Struct, frozen=True):
    """The residual stream at one depth, means over tokens of rows less their mean.

    `rms` is the root mean square, `gradient_rms` that of the gradient of the tokens' summed loss. `carrying`
    is the number of coordinates that carry a row, its participation ratio (sum of squares)^2 / sum of fourth
    powers: the width if all are equally large, 1 if one is all.
    """

    rms: float
    carrying: float
    gradient_rms: float | None = None


class LayerStatistics(msgspec.Struct, frozen=True):
    """One layer: its heads' attention, and the units of its feed-forward.

    `entropies` are those of the attention weights by head, in bits, means over tokens. `silent` is the share
    of units that stay below 0 for every token, `open` that of units that stay above.
    """

    entropies: tuple[float, ...]
    silent: float
    open: float


class TensorStatistics(msgspec.Struct, frozen=True):
    """Norms of a parameter tensor, of its gradient before clipping, and of its change in the step."""

    norm: float
    gradient_norm: float
    update_norm: float

    @property
    def update_ratio(self) -> float:
        """The update relative to the tensor; infinite for a tensor of zeros that changes."""
        return self.update_norm / self.norm if self.norm else math.inf if self.update_norm else 0.0


class StepInspected(Event, frozen=True):
    """A step measured from within, `n_tokens` of its batch for the first two: not written to the run folder.

    `streams` are after the embedding and after each layer, `tensors` by parameter name.
    """

    step: int
    n_tokens: int
    streams: tuple[StreamStatistics, ...]
    layers: tuple[LayerStatistics, ...]
    tensors: dict[str, TensorStatistics]

    def of_layer(self, layer: int) -> TensorStatistics:
        """The norms of all matrices of a layer together."""
        prefix = f"layers.{layer}."
        chosen = [
            t for name, t in self.tensors.items() if name.startswith(prefix) and name.endswith(".weight")
        ]
        return TensorStatistics(
            *(math.hypot(*values) for values in zip(*map(msgspec.structs.astuple, chosen), strict=True))
        )


class SampleDone(Event, frozen=True):
    """A sample of the model at a step; `text` may hold any bytes, decoded with replacement."""

    step: int
    prompt: str
    text: str
    seed: int


class CheckpointSaved(Event, frozen=True):
    """The complete state was written to disk; `path` is the file."""

    step: int
    path: str
    ms: float


class SavingFailed(Event, frozen=True):
    """Something could not be written; `message` says what and why. Everything saved earlier stays.

    Training continues: rows wait in memory, and saving is tried again when the next checkpoint is due.
    """

    step: int
    message: str


class Paused(Event, frozen=True):
    """Training is paused, its state saved."""

    step: int


class Resumed(Event, frozen=True):
    """Training continues after a pause."""

    step: int


class RunFinished(Event, frozen=True):
    """The last event of a run that ended normally. `train_loss` is the mean of the last 20 steps.

    `reason` is `finished` (all steps done) or `stopped` (on request; it can be resumed).
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
    """The run cannot continue. `run` is None if it never got a folder; everything saved earlier stays."""

    step: int
    title: str
    message: str
    run: str | None = None


AnyEvent = (
    RunStarted
    | StepDone
    | EvalDone
    | ScoreDone
    | StepInspected
    | SampleDone
    | CheckpointSaved
    | SavingFailed
    | Paused
    | Resumed
    | RunFinished
    | RunFailed
)
