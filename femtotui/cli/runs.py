"""`femtotui journal`: every run's own entry, as one document."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from femtotui.core.errors import RunError

from ..blas.kernel import prepare_blas
from ..paths import lasting_path, runs_folder
from .options import checkpoint_option, json_option, print_json, run_argument, runs_option, say

if TYPE_CHECKING:
    from femtotui.core.events import ScoreDone
    from femtotui.core.run_folder.entry import Entry
    from femtotui.core.run_folder.saved_model import WeightsFormat


@click.command()
@click.argument("run", required=False)
@click.option("--note", metavar="TEXT", help="Replace the note of RUN with these words.")
@runs_option
@json_option
def journal(run: str | None, note: str | None, runs: str | None, as_json: bool) -> None:
    """The journal of all runs, oldest first, as one Markdown document; with RUN, that one's entry.

    Every run keeps its own entry in entry.md, true at every checkpoint. Your words are in note.md beside it.
    """
    from femtotui.core.run_folder.catalog import find_run, list_runs  # noqa: PLC0415
    from femtotui.core.run_folder.entry import gather_entry  # noqa: PLC0415

    folder = runs_folder(runs)
    if note is not None:
        if run is None:
            raise click.UsageError("which run is the note for? `femtotui journal latest --note '...'`")
        keep_note(find_run(folder, run), note)
    if run is not None:
        entries = [gather_entry(find_run(folder, run))]
    else:
        folders = [summary.path for summary in reversed(list_runs(folder))]
        entries = [entry for path in folders if (entry := _entry_or_word(path)) is not None]
    if as_json:
        print_json(entries)
    elif entries:
        _print_markdown(entries)
    else:
        say(f"no entries in {folder} yet; `femtotui train 2` makes one")


def keep_note(folder: Path, note: str) -> None:
    """Replaces a run's note, and brings its entry up to date. Raises: RunError."""
    from femtotui.core.run_folder.entry import write_entry, write_note  # noqa: PLC0415

    write_note(folder, note)
    write_entry(folder)


def _entry_or_word(folder: Path) -> Entry | None:
    """The entry; for a damaged run a word on standard error, so that the others are still printed."""
    from femtotui.core.run_folder.entry import gather_entry  # noqa: PLC0415

    try:
        return gather_entry(folder)
    except RunError as error:
        say(f"left out: {error}")
        return None


def _print_markdown(entries: list[Entry]) -> None:
    from femtotui.core.run_folder.entry import entry_markdown  # noqa: PLC0415

    from ..text.safe import printable  # noqa: PLC0415

    print("\n".join(printable(entry_markdown(entry)) for entry in entries), end="")


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
    from femtotui.core.run_folder.catalog import find_run  # noqa: PLC0415

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
    from femtotui.presets.load import choose_evaluator  # noqa: PLC0415

    from ..trainer.session import open_trained  # noqa: PLC0415

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


@click.command()
@run_argument
@checkpoint_option
@click.option(
    "--format",
    "kind",
    type=click.Choice(["safetensors", "npz"]),
    default="safetensors",
    show_default=True,
    help="The kind of file; both hold one float32 tensor a parameter.",
)
@click.option("-o", "--output", metavar="FILE", help="Where to (default: named after the run, here).")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@runs_option
def export(
    run: str, checkpoint: str, kind: WeightsFormat, output: str | None, force: bool, runs: str | None
) -> None:
    """Write the weights of RUN (default: the latest) to a file, without the optimizer's state.

    Weights are (inputs, outputs): y = x @ W + b. The file's path is printed.
    """
    from femtotui.core.run_folder.catalog import find_run  # noqa: PLC0415
    from femtotui.core.run_folder.folder import RunFolder  # noqa: PLC0415
    from femtotui.core.run_folder.saved_model import export_weights  # noqa: PLC0415

    folder = RunFolder.open(find_run(runs_folder(runs), run))
    source = folder.find_checkpoint(checkpoint)
    target = lasting_path(output or f"{folder.path.name}-{source.stem}.{kind}")
    if target.exists() and not force:
        raise RunError(f"{target} is there already: choose another --output, or replace it with --force")
    written = export_weights(source, folder.config.model, target, kind)
    say(f"{written.n_tensors} tensors, {written.n_parameters:,} parameters, step {written.step:,}")
    print(Path(target))


@click.command()
@click.argument("run", required=False)
@runs_option
def attach(run: str | None, runs: str | None) -> int:
    """Take up RUN, which goes on without the app since d was pressed (default: the newest such run)."""
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise click.UsageError("the app needs a terminal; `femtotui runs` lists what is being trained")
    folder = runs_folder(runs)
    from ..app.start import attach_app  # noqa: PLC0415

    return attach_app(_found(folder, run))


def _found(folder: Path, run: str | None) -> Path:
    from femtotui.core.run_folder.catalog import find_run, list_runs  # noqa: PLC0415

    from ..trainer.remote import ADDRESS_NAME  # noqa: PLC0415

    if run is not None:
        return find_run(folder, run)
    for summary in list_runs(folder):
        if summary.holder is not None and (summary.path / ADDRESS_NAME).exists():
            return summary.path
    raise RunError(
        f"no run in {folder} goes on without an app: press d in the app to detach one, "
        "or go on with one by `femtotui train --resume latest`"
    )
