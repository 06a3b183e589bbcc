"""The runs as a table for people and as plain rows for programs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from femtotui.core.files import written
from femtotui.core.runs import RunSummary

from .door import ADDRESS_NAME
from .safe_text import one_line
from .wording import UNKNOWN, duration, loss

_COLUMNS = (
    ("run", "left"),
    ("preset", "left"),
    ("recipe", "left"),
    ("step", "right"),
    ("loss", "right"),
    ("validation", "right"),
    ("elapsed", "right"),
    ("state", "left"),
)


def state(run: RunSummary) -> str:
    """`training`, `detached` (training without an app), `finished`, `can go on`, `not saved` or `damaged`."""
    if run.info is None:
        return "damaged"
    if run.holder is not None:
        return "detached" if (run.path / ADDRESS_NAME).exists() else "training"
    if run.finished:
        return "finished"
    return "can go on" if run.can_continue else "not saved"


def runs_rows(runs: Sequence[RunSummary]) -> list[dict[str, object]]:
    """One dict a run, for JSON. Losses in nats a token, times in seconds; null where nothing is known."""
    return [_row(run) for run in runs]


def runs_table(runs: Sequence[RunSummary]) -> Table:
    """A line a run; a damaged one says what is wrong with it."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for header, justify in _COLUMNS:
        # A run's name is what one types to resume it: it wraps rather than lose its end.
        table.add_column(header, justify="right" if justify == "right" else "left", overflow="fold")
    for run in runs:
        table.add_row(*_cells(run))
    return table


def _row(run: RunSummary) -> dict[str, object]:
    config = run.info.config if run.info else None
    return {
        "run": written(run.path),
        "state": state(run),
        "pid": run.holder.pid if run.holder else None,
        "problem": run.problem or None,
        "preset": config.preset if config else None,
        "title": config.title if config else None,
        "recipe": config.recipe.name if config else None,
        "created": run.info.created if run.info else None,
        "parameters": run.info.parameters if run.info else None,
        "step": run.step,
        "steps": config.train.steps if config else None,
        "checkpoint_step": run.checkpoint_step,
        "loss": run.loss,
        "val_loss": run.val_loss,
        "elapsed_s": run.elapsed_s,
    }


def _cells(run: RunSummary) -> list[Text]:
    name = Text(one_line(run.path.name))
    if run.info is None:
        return [
            name,
            *[Text(UNKNOWN)] * (len(_COLUMNS) - 2),
            Text(f"damaged: {one_line(run.problem)}", "red"),
        ]
    config = run.info.config
    return [
        name,
        Text(one_line(f"{config.preset} {config.title}")),
        Text(one_line(config.recipe.name)),
        Text(f"{run.step:,}/{config.train.steps:,}"),
        Text(loss(run.loss)),
        Text(loss(run.val_loss)),
        Text(duration(run.elapsed_s)),
        Text(state(run)),
    ]
