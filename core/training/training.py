"""Training as a generator: the caller decides what to show, what to save and when to stop.

A step is a function of the parameters, the optimizer's state and the step's number: batches and dropout are
drawn from (seed, step). So checkpoints need no random state, and a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import threadpoolctl
from numpy.typing import NDArray

from ..config import RunConfig
from ..errors import CheckpointError, ConfigError, DivergedError
from ..events import EvalDone, Event, StepDone, StepInspected, TensorStatistics
from ..machine import rss_mib
from ..model.gpt import Model
from ..model.inspection import inspect_batch
from ..model.layers import IdArray
from ..model.parameters import initial_parameters, parameter_table, tensor_norms
from ..tokenizers import Tokenizer
from .batches import Batches, Source
from .optimizers import gradient_norm, learning_rate, make_optimizer
from .workers import ALONE, STEPS_TO_ALIGN, Ranks, Workers, choose_chunk, choose_threads

RECENT_STEPS = 20
"""The number of steps over which the reported training loss is averaged."""

INSPECTED_TOKENS = 256
"""Tokens of a batch, in whole sequences, in which the residual stream is measured."""

_MIN_TIMED_STEPS = 50
"""Steps before the mean time per step is reported."""


class Training:
    """A model with its optimizer, data and threads, at step 0 with new parameters until `restore`.

    `config` is the given one with vocabulary, threads and chunk filled in. With several `ranks`, `threads`
    is the total of all.
    """

    def __init__(self, config: RunConfig, source: Source, tokenizer: Tokenizer, ranks: Ranks = ALONE) -> None:
        self.config = resolved(config, tokenizer)
        self.source, self.tokenizer = source, tokenizer
        self.batches = Batches(source, tokenizer, self.config)
        model, train, recipe = self.config.model, self.config.train, self.config.recipe
        self.threads, self.chunk = train.threads, train.chunk
        self.parameters_P = initial_parameters(model, recipe.init, train.seed)
        self.n_parameters = self.parameters_P.size
        self._blas_limit = threadpoolctl.threadpool_limits(limits=1, user_api="blas")
        self._ranks = ranks
        gpt = Model(model, recipe, self.parameters_P)
        self._workers = Workers(gpt, train.batch, self.threads, self.chunk, ranks)
        self._optimizer = make_optimizer(model, recipe, self._workers.team.size, self.parameters_P.dtype)
        self._recent: deque[float] = deque(maxlen=RECENT_STEPS)
        self._inspects_next = False
        self.inspected: StepInspected | None = None
        self._lr_scale = 1.0
        self.step = 0
        self.elapsed_s = 0.0
        self._began_at = (0, 0.0)

    @property
    def gradient_size(self) -> int:
        """Elements of the vector that ranks sum in a step."""
        return self._workers.gradient_size

    @property
    def recent_loss(self) -> float:
        """Mean training loss of the last steps, NaN before the first."""
        return math.fsum(self._recent) / len(self._recent) if self._recent else math.nan

    @property
    def ms_per_step(self) -> float | None:
        """Mean milliseconds per step since the start or `restore`; None before there are enough."""
        step, elapsed_s = self._began_at
        if self.step - step < _MIN_TIMED_STEPS:
            return None
        return (self.elapsed_s - elapsed_s) * 1e3 / (self.step - step)

    def set_learning_rate(self, base_lr: float) -> None:
        """Replace the schedule's base rate from the next step on."""
        if not (math.isfinite(base_lr) and 0 <= base_lr <= 10):
            raise ConfigError(f"must be from 0 to 10, not {base_lr:g}", "base_lr")
        self._lr_scale = base_lr / self.config.recipe.schedule.base_lr

    def inspect_next(self) -> None:
        """Measure the next step from within: `inspected` has the result after it, and `train` yields it."""
        self._inspects_next = True

    def advance(self) -> StepDone:
        """Do one step.

        Raises: DivergedError if the loss or the gradient is not finite, leaving the parameters unchanged;
        Dismissed if rank 0 has ended the training.
        """
        start = time.perf_counter()
        train, index = self.config.train, self.step
        inputs_BT, targets_BT = self.batches.batch(index)
        loss = self._workers.loss_and_gradient(inputs_BT, targets_BT, train.seed, index)
        gradient_P, share = self._workers.gradient.flat_P, self._workers.share
        norm = gradient_norm(gradient_P, share)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            wrong = f"the gradient's norm became {norm}" if math.isfinite(loss) else f"the loss became {loss}"
            advice = "try a lower learning rate, a longer warm-up or gradient clipping"
            raise DivergedError(f"{wrong} at step {index + 1:,}; {advice}")
        finish_inspection = self._inspect(inputs_BT, targets_BT) if self._inspects_next else None
        lr = self._lr_scale * learning_rate(self.config.recipe.schedule, index, train.steps)
        self._optimizer.step(self.parameters_P, gradient_P, norm, lr, share)
        self.step += 1
        if self.step % STEPS_TO_ALIGN == 0:
            self._ranks.align(self.parameters_P)
        self._workers.refresh()
        self._recent.append(loss)
        seconds = time.perf_counter() - start
        self.elapsed_s += seconds
        self.inspected = finish_inspection() if finish_inspection is not None else None
        return StepDone(
            step=self.step,
            loss=loss,
            lr=lr,
            grad_norm=norm,
            ms=seconds * 1e3,
            elapsed_s=self.elapsed_s,
            rss_mib=rss_mib(),
        )

    def _inspect(self, inputs_BT: IdArray, targets_BT: IdArray) -> Callable[[], StepInspected]:
        """Measure a step before its update; the function that is returned does the rest after it."""
        self._inspects_next = False
        model, n = self.config.model, max(1, INSPECTED_TOKENS // self.config.model.context)
        texts = inputs_BT[:n], targets_BT[:n]
        streams, layers = inspect_batch(self._workers.model, *texts, self.config.train.seed, self.step)
        before_P = self.parameters_P.copy()
        norms = [tensor_norms(flat_P, model) for flat_P in (before_P, self._workers.gradient.flat_P)]

        def finish() -> StepInspected:
            np.subtract(self.parameters_P, before_P, out=before_P)
            columns = zip(*norms, tensor_norms(before_P, model), strict=True)
            names = (parameter.name for parameter in parameter_table(model))
            tensors = {name: TensorStatistics(*row) for name, row in zip(names, columns, strict=True)}
            n_tokens = texts[0].size
            return StepInspected(
                step=self.step, n_tokens=n_tokens, streams=streams, layers=layers, tensors=tensors
            )

        return finish

    def evaluate(self) -> EvalDone:
        """Compute the loss on the validation windows. Its time counts as training time."""
        start = time.perf_counter()
        batches, train_loss = self.batches, self.recent_loss
        val_loss = self._workers.mean_loss(batches.validation_inputs_WT, batches.validation_targets_WT)
        self.elapsed_s += time.perf_counter() - start
        return EvalDone(step=self.step, val_loss=val_loss, train_loss=train_loss, elapsed_s=self.elapsed_s)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The content of a checkpoint except the step and the elapsed time; views where possible."""
        return {
            **self.vectors(),
            "recent_losses": np.array(self._recent, np.float64),
            "lr_scale": np.array([self._lr_scale]),
        }

    def vectors(self) -> dict[str, NDArray[Any]]:
        """The parameters and the optimizer's state: views of vectors of the same length."""
        state = {f"optimizer.{name}": vector for name, vector in self._optimizer.state().items()}
        return {"parameters": self.parameters_P, **state}

    def restore(self, tensors: Mapping[str, NDArray[Any]], step: int, elapsed_s: float) -> None:
        """Restore the result of `tensors()` at `step`."""
        vectors = self.vectors()
        missing = self.tensors().keys() - tensors.keys()
        if missing:
            raise CheckpointError(f"the checkpoint lacks {', '.join(sorted(missing))}")
        for name, vector in vectors.items():
            if tensors[name].shape != vector.shape:
                raise CheckpointError(
                    f"the checkpoint's {name} has shape {tensors[name].shape}, this model's {vector.shape}"
                )
        for name, vector in vectors.items():
            vector[...] = tensors[name]
        self._recent = deque(map(float, tensors["recent_losses"]), maxlen=RECENT_STEPS)
        self._lr_scale = float(tensors["lr_scale"][0])
        self._optimizer.steps_done = step
        self._workers.refresh()
        self.step, self.elapsed_s = step, elapsed_s
        self._began_at = (step, elapsed_s)

    def close(self) -> None:
        """End the threads."""
        self._workers.team.close()
        self._blas_limit.restore_original_limits()


def resolved(config: RunConfig, tokenizer: Tokenizer) -> RunConfig:
    """`config` with the tokenizer's vocabulary size, and with threads and chunk chosen where they are 0."""
    replace = msgspec.structs.replace
    model = replace(config.model, vocab_size=tokenizer.vocab_size)
    train = config.train
    threads = min(train.threads or choose_threads(train.batch), train.batch)
    if train.chunk > train.batch:
        raise ConfigError(f"must be at most the batch of {train.batch}, not {train.chunk}", "train.chunk")
    chunk = train.chunk or choose_chunk(model, train.batch, threads)
    return replace(config, model=model, train=replace(train, threads=threads, chunk=chunk))


def train(training: Training) -> Iterator[Event]:
    """Step until the run's last step, with an evaluation every `eval_every` steps and at the end."""
    config = training.config.train
    while training.step < config.steps:
        yield training.advance()
        if training.step % config.eval_every == 0 or training.step == config.steps:
            yield training.evaluate()
        if training.inspected is not None:
            yield training.inspected
            training.inspected = None
