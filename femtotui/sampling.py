"""Sampling from a snapshot of the parameters: what to draw, and when to draw anew. No Textual in here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from femtotui.core.config import RunConfig
from femtotui.core.sample import JOURNAL_SAMPLING, SampledToken, Sampler
from femtotui.core.tokenizer import load_tokenizer

from .run_view import RunView, Status
from .trainer import SnapshotArrived

JOURNAL_PROMPT = b"\n"
SAMPLE_TOKENS = 160
"""Enough to fill the pane, and drawn in a fraction of a second."""

RESAMPLE_SECONDS = 5.0
"""Seconds of training between two samples drawn without being asked for; at first, when much changes, one."""

FIRST_RESAMPLE_SECONDS = 1.0

_ESCAPES = {"\\n": "\n", "\\t": "\t"}


def prompt_bytes(typed: str) -> bytes:
    r"""What a typed prompt stands for: nothing is the journal's newline, and `\n` and `\t` are themselves."""
    for escape, meaning in _ESCAPES.items():
        typed = typed.replace(escape, meaning)
    return typed.encode("utf-8", errors="replace") or JOURNAL_PROMPT


@dataclass(frozen=True)
class SampleTask:
    """One sample to draw: from which parameters of which run, after which prompt."""

    run: Path
    config: RunConfig
    snapshot: SnapshotArrived
    prompt: bytes
    seed: int


def draw(task: SampleTask) -> Iterator[SampledToken]:
    """The tokens of a sample, one by one.

    Raises: FemtoError children, such as TokenizerError for a prompt that a char tokenizer cannot encode.
    """
    tokenizer = load_tokenizer((task.run / "tokenizer.json").read_text("utf-8"))
    sampler = Sampler(task.config.model, task.config.recipe, task.snapshot.parameters_P, tokenizer)
    yield from sampler.generate(task.prompt, SAMPLE_TOKENS, replace(JOURNAL_SAMPLING, seed=task.seed))


class Pace:
    """Says when a snapshot is due: at a run's first steps, every few seconds of training, and at a pause.

    The last one comes unasked: a trainer that has finished sends its parameters and is gone.
    """

    def __init__(self) -> None:
        self._view: RunView | None = None
        self._status: Status | None = None
        self._elapsed_s = 0.0
        self._interval = FIRST_RESAMPLE_SECONDS

    def due(self, view: RunView) -> bool:
        """Whether to ask for a snapshot now; asking is taken as done."""
        if view.step == 0 or view.status not in {Status.TRAINING, Status.PAUSED}:
            return False
        due = (
            view is not self._view
            or (view.status is Status.PAUSED and self._status is not Status.PAUSED)
            or abs(view.elapsed_s - self._elapsed_s) >= self._interval
        )
        if due:
            self._interval = min(RESAMPLE_SECONDS, max(FIRST_RESAMPLE_SECONDS, view.elapsed_s))
            self._elapsed_s = view.elapsed_s
        self._view, self._status = view, view.status
        return due
