"""The commands about runs that exist: `femtotui runs`, `journal`, `eval`, `export` and `attach`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click import Choice, option

from femtotui.core.errors import RunError
from femtotui.core.files import written
from femtotui.core.run_folder.info import RunFile

from ..blas.kernel import prepare_blas
from ..installation import lasting_path
from ..text.formats import UNKNOWN, duration, loss, short_title
from ..text.safe import one_line, say
from .options import (
    CliCommand,
    checkpoint_option,
    json_option,
    require_terminal,
    run_argument,
    runs_option,
)
from .output import print_json, print_path, print_rich, print_text, styled, table, terminal_width

if TYPE_CHECKING:
    from rich.table import Table

    from femtotui.core.run_folder.catalog import RunSummary
    from femtotui.core.run_folder.saved_model import WeightsFormat

    from .output import Cell

_HEADERS = ("run", "state", ">step", ">loss", ">val", ">elapsed", "preset", "recipe")
"""What matters least stands last: it is left out where there is no room."""

_N_FIGURES = 6
"""The first so many columns are never cut; of the others as much is shown as there is room."""

_LEAST_WORDS = 8


@click.command(cls=CliCommand, examples={"runs": "a line each", "runs | cut -f1,7": "tabs in a pipe"})
@runs_option
@json_option
def runs(runs: Path, as_json: bool) -> None:
    """List the runs, newest first; in a pipe as tab-separated values under a header."""
    from femtotui.core.run_folder.catalog import list_runs  # noqa: PLC0415  (loads NumPy)

    found = list_runs(runs)
    if as_json:
        print_json([_row(run) for run in found])
    elif not found:
        say(f"no runs in {runs} yet; `femtotui train 2` makes one")
    elif sys.stdout.isatty():
        print_rich(runs_table(found, terminal_width()))
    else:
        rows = [_row(run) for run in found]
        print_text(
            "\n".join("\t".join(map(_tsv_cell, row)) for row in (rows[0], *(r.values() for r in rows)))
        )


def state(run: RunSummary) -> str:
    """`training`, `detached` (from the app), `finished`, `can be resumed`, `not saved` or `damaged`."""
    if run.info is None:
        return "damaged"
    if run.holder is not None:
        return "detached" if (run.path / RunFile.TRAINER_ADDRESS).exists() else "training"
    if run.finished:
        return "finished"
    return "can be resumed" if run.can_continue else "not saved"


def runs_table(runs: Sequence[RunSummary], width: int) -> Table:
    """The runs for a terminal `width` columns wide, a line each.

    A damaged run says what is wrong with it. A name is never broken: it is copied to resume a run.
    """
    rows = [_cells(run) for run in runs]
    columns = zip(_HEADERS, *rows, strict=True)
    widths = [max(len(str(cell).removeprefix(">")) for cell in column) + 1 for column in columns]
    least = [*widths[:_N_FIGURES], *(min(w, _LEAST_WORDS) for w in widths[_N_FIGURES:])]
    n_shown = sum(total <= width + 1 for total in accumulate(least))
    made = table(_HEADERS[:n_shown], [row[:n_shown] for row in rows], gap=1, no_wrap=True)
    left = width + 1 - sum(least[:n_shown])
    for column, natural, narrow in zip(made.columns, widths, least, strict=False):
        column.width = min(natural, narrow + left) - 1
        left -= column.width + 1 - narrow
    return made


def _row(run: RunSummary) -> dict[str, object]:
    """A run for JSON. Losses in nats per token, times in seconds; null where nothing is known."""
    config = run.info.config if run.info else None
    return {
        "run": written(run.path),
        "state": state(run),
        "pid": run.holder.pid if run.holder else None,
        "problem": run.problem or None,
        **{name: getattr(config, name, None) for name in ("preset", "title")},
        "recipe": config.recipe.name if config else None,
        **{name: getattr(run.info, name, None) for name in ("created", "parameters")},
        "step": run.step,
        "steps": config.train.steps if config else None,
        **{name: getattr(run, name) for name in ("checkpoint_step", "loss", "val_loss", "elapsed_s")},
    }


def _tsv_cell(value: object) -> str:
    return "" if value is None else one_line(str(value))


def _cells(run: RunSummary) -> Sequence[Cell]:
    if run.info is None:
        unknown = [UNKNOWN] * (_N_FIGURES - 2)
        return (run.path.name, styled("damaged", "red"), *unknown, styled(run.problem, "red"), "")
    config, losses = run.info.config, (loss(run.loss), loss(run.val_loss))
    step = f"{run.step:,}/{config.train.steps:,}"
    numbers = (step, *losses, duration(run.elapsed_s))
    return (
        run.path.name,
        state(run),
        *numbers,
        f"{config.preset} {short_title(config.title)}",
        config.recipe.name,
    )


@click.command(
    cls=CliCommand,
    examples={
        "journal > journal.md": "all runs as one document",
        "journal latest --note 'more steps next time'": "a note of your own",
    },
)
@run_argument(required=False, default=None)
@option("--note", metavar="TEXT", help="Replace the note of RUN with this text.")
@runs_option
@json_option
def journal(run: str | None, note: str | None, runs: Path, as_json: bool) -> None:
    """Print the journal of all runs, oldest first, as one Markdown document; with RUN, its entry alone.

    Each run has an entry in entry.md, updated at every checkpoint. Your note is in note.md beside it.
    """
    from femtotui.core.run_folder.catalog import find_run, list_runs  # noqa: PLC0415  (loads NumPy)
    from femtotui.core.run_folder.entry import entry_markdown, gather_entry, save_note  # noqa: PLC0415

    if note is not None:
        if run is None:
            raise click.UsageError("which run is the note for? `femtotui journal latest --note '...'`")
        save_note(find_run(runs, run), note)
    if run is not None:
        entries = [gather_entry(find_run(runs, run))]
    else:
        entries = []
        for summary in reversed(list_runs(runs)):
            try:
                entries.append(gather_entry(summary.path))
            except RunError as error:  # a damaged run; the others are still printed
                say(f"left out: {error}")
    if as_json:
        print_json(entries)
    elif entries:
        print_text("\n".join(entry_markdown(entry) for entry in entries), end="")
    else:
        say(f"no entries in {runs} yet; `femtotui train 2` makes one")


@click.command("eval", cls=CliCommand, examples={"eval": "the latest run", "eval --json": "for programs"})
@run_argument()
@checkpoint_option
@runs_option
@json_option
def evaluate(run: str, checkpoint: str, runs: Path, as_json: bool) -> None:
    """Score RUN (its folder, its name or a part of it; default: the latest) on the task of its data.

    simple_dummy: the share of sampled words that obey every rule. addition_dummy: the share of held-out sums
    answered exactly. Text and code: bits per byte, against unigram, bigram and trigram models. Nothing is
    written.
    """
    prepare_blas()
    from femtotui.core.run_folder.catalog import find_run  # noqa: PLC0415
    from femtotui.presets.load import choose_evaluator  # noqa: PLC0415

    from ..trainer.session import open_trained  # noqa: PLC0415

    folder = find_run(runs, run)
    with closing(open_trained(folder, checkpoint)) as training:
        evaluator = choose_evaluator(training.config.data)
        found = evaluator.examine(training, training.evaluate().val_loss, thorough=True)
        score = [score for score in found if score is not None][-1]
    if as_json:
        names = ("step", "evaluator", "score", "unit", "details", "verdict", "summary")
        print_json({"run": str(folder), **{name: getattr(score, name) for name in names}})
    else:
        say(f"{folder.name}, step {score.step:,}, {score.evaluator}:")
        print_text(f"{score.verdict}: {score.summary}")
        print_rich(details_table(score.details))


def details_table(details: Mapping[str, float]) -> Table:
    """An evaluator's figures: a row for each kind of task, a column for each count."""
    names = [tuple(name.rpartition(".")[::2]) for name in details]
    parts = list(dict.fromkeys(part for part, _ in names))
    lasts = list(dict.fromkeys(last for _, last in names))
    if len(parts) * len(lasts) > 2 * len(details):  # few share a first or a last part
        return table(("", ">"), [(name.replace("_", " "), _figure(value)) for name, value in details.items()])
    rows = [
        [
            part.replace("_", " "),
            *(_figure(details.get(f"{part}.{last}" if part else last)) for last in lasts),
        ]
        for part in parts
    ]
    return table(("", *(f">{last.replace('_', ' ')}" for last in lasts)), rows)


def _figure(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4f}"


@click.command(cls=CliCommand, examples={"export latest --format npz": "for NumPy: np.load(...)"})
@run_argument()
@checkpoint_option
@option(
    "--format",
    "kind",
    type=Choice(["safetensors", "npz"]),
    default="safetensors",
    show_default=True,
    help="The file format; both hold one float32 tensor per parameter.",
)
@option("-o", "--output", metavar="FILE", help="The file (default: named after the run, in this folder).")
@option("--force", is_flag=True, help="Replace an existing file.")
@runs_option
def export(
    run: str, checkpoint: str, kind: WeightsFormat, output: str | None, force: bool, runs: Path
) -> None:
    """Write the weights of RUN (default: the latest) to a file, without the optimizer's state.

    Weights are (inputs, outputs): y = x @ W + b. The file's path is printed.
    """
    from femtotui.core.run_folder.catalog import find_run  # noqa: PLC0415
    from femtotui.core.run_folder.folder import RunFolder  # noqa: PLC0415
    from femtotui.core.run_folder.saved_model import export_weights  # noqa: PLC0415

    folder = RunFolder.open(find_run(runs, run))
    source = folder.find_checkpoint(checkpoint)
    target = lasting_path(output or f"{folder.path.name}-{source.stem}.{kind}")
    if target.exists() and not force:
        raise RunError(f"{target} exists: choose another --output, or replace it with --force")
    exported = export_weights(source, folder.config.model, target, kind)
    say(f"{exported.n_tensors} tensors, {exported.n_parameters:,} parameters, step {exported.step:,}")
    print_path(target)


@click.command(cls=CliCommand, examples={"attach": "back to the training that you left with d"})
@run_argument(required=False, default=None)
@runs_option
def attach(run: str | None, runs: Path) -> int:
    """Open the app on RUN, which trains in the background after d was pressed (default: the newest)."""
    require_terminal("the app needs a terminal; `femtotui runs` lists what is being trained")
    from femtotui.core.run_folder.catalog import find_run, list_runs  # noqa: PLC0415

    from ..app.start import attach_app  # noqa: PLC0415

    detached = (summary.path for summary in list_runs(runs) if state(summary) == "detached")
    if folder := find_run(runs, run) if run is not None else next(detached, None):
        return attach_app(folder)
    raise RunError(
        f"no run in {runs} trains in the background: press d in the app to detach one, "
        "or resume one with `femtotui train --resume latest`"
    )
