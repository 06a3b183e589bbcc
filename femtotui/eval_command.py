"""`femtotui eval`: a run judged by measure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .arguments import say
from .environment import prepare_blas
from .paths import runs_folder
from .run_options import checkpoint_option, json_option, print_json, run_argument, runs_option

if TYPE_CHECKING:
    from femtotui.core.events import ScoreDone


@click.command("eval")
@run_argument
@checkpoint_option
@runs_option
@json_option
def evaluate(run: str, checkpoint: str, runs: str | None, as_json: bool) -> None:
    """Judge RUN (its folder, its name or a part of it; default: the latest) on what its data is about.

    simple_dummy: the share of sampled words that obey every rule. addition_dummy: the held-out sums that come
    out exactly right. Text and code: bits a byte against models that count tokens, pairs and triples.
    Nothing is written.
    """
    prepare_blas()
    from femtotui.core.runs import find_run  # noqa: PLC0415

    folder = find_run(runs_folder(runs), run)
    score = judge(folder, checkpoint)
    if as_json:
        print_json({"run": str(folder), **_row(score)})
    else:
        say(f"{folder.name}, step {score.step:,}, {score.evaluator}:")
        print(f"{score.verdict}: {score.summary}")
        for name, value in score.details.items():
            print(f"  {name}: {value:,.4f}" if isinstance(value, float) else f"  {name}: {value:,}")


def judge(folder: Path, which: str) -> ScoreDone:
    """The thorough score of a run at a checkpoint. Raises: FemtoError."""
    from femtotui.presets.evaluators import choose_evaluator  # noqa: PLC0415

    from .session import open_trained  # noqa: PLC0415

    training = open_trained(folder, which)
    try:
        evaluator = choose_evaluator(training.config.data)
        val_loss = training.evaluate().val_loss
        scores = [
            score for score in evaluator.examine(training, val_loss, thorough=True) if score is not None
        ]
    finally:
        training.close()
    return scores[-1]


def _row(score: ScoreDone) -> dict[str, object]:
    return {
        "step": score.step,
        "evaluator": score.evaluator,
        "score": score.score,
        "unit": score.unit,
        "details": score.details,
        "verdict": score.verdict,
        "summary": score.summary,
    }
