"""The memory and time that a run will take: memory from the sizes of its arrays, time from a measurement.

The memory of a process is what Python and its libraries take, the activations of the chunks that are being
worked on (`activation_bytes` in core.training.workers), and a number of copies of the parameters. The
constants were measured on Linux with tests/bench/memory.py; a test holds the sum to within 20% of what a run
then takes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from femtotui.core.config import ModelConfig, RunConfig
from femtotui.core.training.calibration import known_choice
from femtotui.core.training.workers import activation_bytes, choose_chunk, choose_threads

from ..text.formats import duration, memory, milliseconds

_MIB = 2**20
TRAINER_MIB = 48.0
"""A trainer process with NumPy and its data, before there is a model."""

TOKENIZERS_MIB = 20.0
"""The BPE library, once it is loaded."""

_COPIES = 6
"""Parameters, their folded form, momentum, two moments, the optimizer's room to work in; each thread has a
gradient besides."""

_APP_MIB = 13.0
"""Growth of the app once it draws curves and samples."""

_APP_COPIES = 4
"""The app's: one snapshot and the next, and the folded forms that samples are drawn with."""

_TEXT_COPIES = 6
"""A text is held as bytes and as 4-byte ids."""

_UPDATE_SHARE = 1.1
"""A step is forward, backward and an update; the measurement leaves the last out."""


@dataclass(frozen=True)
class Forecast:
    """Memory and time of a run. `mib` includes the app; `ms_per_step` is None if nothing was measured."""

    parameters: int
    mib: float
    ms_per_step: float | None
    steps: int

    @property
    def words(self) -> str:
        """One line, parameters included."""
        return f"{self.parameters:,} parameters · {self.cost}"

    @property
    def cost(self) -> str:
        """Memory and time."""
        if self.ms_per_step is None:
            return f"about {memory(self.mib)} · {self.steps:,} steps, to be timed"
        total = duration(self.ms_per_step * self.steps / 1000)
        return f"about {memory(self.mib)} · {milliseconds(self.ms_per_step)} per step · {total} in all"


def forecast(config: RunConfig, app_mib: float, measured: Path) -> Forecast:
    """Forecast a run of `config` beside an app that uses `app_mib` now.

    `measured` is the file in which a machine remembers how fast which sizes were: the last run of this size,
    or else the measurement before the first.
    """
    vocabulary = config.model.vocab_size or config.tokenizer.vocab_size or 256
    model, train = msgspec.structs.replace(config.model, vocab_size=vocabulary), config.train
    choice = known_choice(measured, model, config.recipe, train.batch)
    threads = train.threads or (choice.threads if choice else choose_threads(train.batch))
    chunk = train.chunk or (choice.chunk if choice else choose_chunk(model, train.batch, threads))
    ms_per_step = choice.step_ms if choice else None
    if choice and ms_per_step is None:
        ms_per_step = choice.ms * _UPDATE_SHARE
    mib = app_mib + _APP_MIB + _model_mib(model, threads, chunk) + _other_mib(config)
    return Forecast(model.n_parameters, mib, ms_per_step, train.steps)


def _model_mib(model: ModelConfig, threads: int, chunk: int) -> float:
    parameters = 4 * model.n_parameters * (_COPIES + threads + _APP_COPIES)
    return (threads * chunk * activation_bytes(model) + parameters) / _MIB


def _other_mib(config: RunConfig) -> float:
    text = 0
    for path in config.data.paths:
        with suppress(OSError, ValueError):
            text += Path(path).stat().st_size
    tokenizers = TOKENIZERS_MIB if config.tokenizer.kind == "bpe" else 0.0
    return TRAINER_MIB + tokenizers + _TEXT_COPIES * text / _MIB
