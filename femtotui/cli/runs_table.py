"""The runs as a table for people and as plain rows for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from femtotui.core.files import written
from femtotui.core.run_folder.catalog import RunSummary
from femtotui.core.run_folder.info import RunFile

from ..text.formats import UNKNOWN, duration, loss
from ..text.safe import one_line

_WIDE_REST = 84
"""Columns that a line needs besides the run's name."""

_Column = tuple[str, Literal["left", "right"]]
_WIDE_COLUMNS: tuple[_Column, ...] = (
    ("run", "left"),
    ("preset", "left"),
    ("recipe", "left"),
    ("step", "right"),
    ("loss", "right"),
    ("validation", "right"),
    ("elapsed", "right"),
    ("state", "left"),
)
_NARROW_COLUMNS: tuple[_Column, ...] = (
    ("run\npreset · recipe", "left"),
    ("step\nelapsed", "right"),
    ("loss\nvalidation", "right"),
    ("state", "left"),
)


def state(run: RunSummary) -> str:
    """`training`, `detached` (training without an app), `finished`, `can go on`, `not saved` or `damaged`."""
    if run.info is None:
        return "damaged"
    if run.holder is not None:
        return "detached" if (run.path / RunFile.TRAINER_ADDRESS).exists() else "training"
    if run.finished:
        return "finished"
    return "can go on" if run.can_continue else "not saved"


def runs_rows(runs: Sequence[RunSummary]) -> list[dict[str, object]]:
    """One dict a run, for JSON. Losses in nats a token, times in seconds; null where nothing is known."""
    return [_row(run) for run in runs]


def runs_table(runs: Sequence[RunSummary], width: int) -> Table:
    """The runs for a terminal `width` columns wide: a line each, or two where a line has no room.

    A damaged run says what is wrong with it. A name is what one copies to resume a run: it is never broken.
    """
    longest = max((cell_len(one_line(run.path.name)) for run in runs), default=0)
    wide = width >= longest + _WIDE_REST
    columns, cells = (_WIDE_COLUMNS, _wide_cells) if wide else (_NARROW_COLUMNS, _narrow_cells)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    for number, (header, justify) in enumerate(columns):
        table.add_column(header, justify=justify, overflow="fold", min_width=0 if number else longest)
    for run in runs:
        table.add_row(*cells(run))
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


def _wide_cells(run: RunSummary) -> list[Text]:
    name = Text(one_line(run.path.name))
    if run.info is None:
        problem = Text(f"damaged: {one_line(run.problem)}", "red")
        return [name, *[Text(UNKNOWN)] * (len(_WIDE_COLUMNS) - 2), problem]
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


def _narrow_cells(run: RunSummary) -> list[Text]:
    name = one_line(run.path.name)
    if run.info is None:
        damaged = Text(f"{name}\n").append(one_line(run.problem), "red")
        return [damaged, *[Text(UNKNOWN)] * (len(_NARROW_COLUMNS) - 2), Text(state(run), "red")]
    config = run.info.config
    what = one_line(f"{config.preset} {config.title} · {config.recipe.name}")
    return [
        Text(f"{name}\n").append(what, "dim"),
        Text(f"{run.step:,}/{config.train.steps:,}\n{duration(run.elapsed_s)}"),
        Text(f"{loss(run.loss)}\n{loss(run.val_loss)}"),
        Text(state(run)),
    ]
