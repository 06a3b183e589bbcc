"""Small runs through the real session: both recipes, every tokenizer, fresh data, many checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import get_args

import msgspec

from femtotui.core.config import RunConfig, TokenizerConfig, TokenizerKind
from femtotui.core.run_folder.checkpoint import load_weights
from femtotui.core.run_folder.folder import RunFolder
from femtotui.presets import load_preset, run_config
from femtotui.trainer.session import Session

STEPS = 120
"""Two blocks of fresh data, the second begun in the middle."""


def small_config(recipe: str, kind: TokenizerKind, steps: int = STEPS, seed: int = 0) -> RunConfig:
    replace = msgspec.structs.replace
    whole = run_config(load_preset("10"), recipe=recipe, steps=steps, threads=1, chunk=4, seed=seed)
    tokenizer = TokenizerConfig(kind=kind, vocab_size=300 if kind == "bpe" else 0)
    return replace(
        whole,
        model=replace(whole.model, n_layers=1, width=16, context=16, vocab_size=0),
        tokenizer=tokenizer,
        data=replace(whole.data, lines=150),
        train=replace(whole.train, batch=4, eval_every=40, eval_windows=2, checkpoint_seconds=0.01),
    )


ALL_CONFIGS = tuple(
    small_config(recipe, kind) for recipe in ("modern", "journal") for kind in get_args(TokenizerKind)
)


@dataclass(frozen=True)
class Outcome:
    """What a finished run left: its final parameters, bit for bit, and what its metrics say."""

    parameters: bytes
    losses: tuple[tuple[int, str], ...]
    evaluated: tuple[int, ...]


def train_to_the_end(session: Session) -> None:
    try:
        *_, last = session.record(SimpleQueue())
        assert type(last).__name__ == "RunFinished", last
    finally:
        session.close()


def outcome_of(path: Path) -> Outcome:
    """Raises: AssertionError for a torn line."""
    run = RunFolder.open(path)
    weights = load_weights(run.find_checkpoint(str(run.config.train.steps)), run.config.model)
    losses, evaluated = [], []
    for row in _rows(path / "metrics.csv"):
        losses.append((int(row[0]), row[1]))
    for row in _rows(path / "evals.csv"):
        evaluated.append(int(row[0]))
    return Outcome(weights.tensors["parameters"].tobytes(), tuple(losses), tuple(evaluated))


def _rows(path: Path) -> list[list[str]]:
    text = path.read_text()
    assert text.endswith("\n"), f"{path} ends in half a line"
    return [line.split(",") for line in text.splitlines()[1:]]
