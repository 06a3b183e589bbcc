"""The commands about runs that exist: `femtotui runs`, `journal`, `eval`, `export` and `attach`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click import Choice, option

from femtotui.core.errors import RunError
from femtotui.core.files import written
from femtotui.core.run_folder.info import RunFile

from ..blas.kernel import prepare_blas
from ..installation import lasting_path
from ..text.formats import UNKNOWN, duration, loss
from ..text.safe import say
from .options import checkpoint_option, json_option, require_terminal, run_argument, runs_option
from .output import print_json, print_path, print_rich, print_text, styled, table, terminal_width

if TYPE_CHECKING:
    from rich.table import Table

    from femtotui.core.run_folder.catalog import RunSummary
    from femtotui.core.run_folder.saved_model import WeightsFormat

    from .output import Cell

_WIDE_REST = 84
"""Columns that a line needs besides the run's name."""

_WIDE_HEADERS = ("run", "preset", "recipe", ">step", ">loss", ">validation", ">elapsed", "state")
_NARROW_HEADERS = ("run\npreset · recipe", ">step\nelapsed", ">loss\nvalidation", "state")


@click.command()
@runs_option
@json_option
def runs(runs: Path, as_json: bool) -> None:
    """List the runs, newest first."""
    from femtotui.core.run_folder.catalog import list_runs  # noqa: PLC0415  (loads NumPy)

    found = list_runs(runs)
    if as_json:
        print_json([_row(run) for run in found])
    elif not found:
        say(f"no runs in {runs} yet; `femtotui train 2` makes one")
    else:
        print_rich(runs_table(found, terminal_width()))


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
    """The runs for a terminal `width` columns wide: a line each, or two where a line has no room.

    A damaged run says what is wrong with it. A name is never broken: it is copied to resume a run.
    """
    longest = max((styled(run.path.name, "").cell_len for run in runs), default=0)
    wide = width >= longest + _WIDE_REST
    headers, cells = (_WIDE_HEADERS, _wide_cells) if wide else (_NARROW_HEADERS, _narrow_cells)
    made = table(headers, map(cells, runs), gap=1, fold=True)
    made.columns[0].min_width = longest
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


def _wide_cells(run: RunSummary) -> Sequence[Cell]:
    if run.info is None:
        unknown = [UNKNOWN] * (len(_WIDE_HEADERS) - 2)
        return (run.path.name, *unknown, styled(f"damaged: {run.problem}", "red"))
    config, losses = run.info.config, (loss(run.loss), loss(run.val_loss))
    preset, step = f"{config.preset} {config.title}", f"{run.step:,}/{config.train.steps:,}"
    return (run.path.name, preset, config.recipe.name, step, *losses, duration(run.elapsed_s), state(run))


def _narrow_cells(run: RunSummary) -> Sequence[Cell]:
    if run.info is None:
        unknown = [UNKNOWN] * (len(_NARROW_HEADERS) - 2)
        return ((run.path.name, styled(run.problem, "red")), *unknown, styled(state(run), "red"))
    config, losses = run.info.config, (loss(run.loss), loss(run.val_loss))
    preset = styled(f"{config.preset} {config.title} · {config.recipe.name}", "dim")
    steps = (f"{run.step:,}/{config.train.steps:,}", duration(run.elapsed_s))
    return ((run.path.name, preset), steps, losses, state(run))


@click.command()
@click.argument("run", required=False)
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


@click.command("eval")
@run_argument
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
        for name, value in score.details.items():
            print_text(f"  {name}: {value:,.4f}" if isinstance(value, float) else f"  {name}: {value:,}")


@click.command()
@run_argument
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


@click.command()
@click.argument("run", required=False)
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
