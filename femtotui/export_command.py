"""`femtotui export`: the weights of a run alone, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from femtotui.core.errors import RunError

from .arguments import say
from .paths import lasting_path, runs_folder
from .run_options import checkpoint_option, run_argument, runs_option

if TYPE_CHECKING:
    from femtotui.core.export import WeightsFormat


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
    from femtotui.core.export import export_weights  # noqa: PLC0415
    from femtotui.core.run import RunFolder  # noqa: PLC0415
    from femtotui.core.runs import find_run  # noqa: PLC0415

    folder = RunFolder.open(find_run(runs_folder(runs), run))
    source = folder.find_checkpoint(checkpoint)
    target = lasting_path(output or f"{folder.path.name}-{source.stem}.{kind}")
    if target.exists() and not force:
        raise RunError(f"{target} is there already: choose another --output, or replace it with --force")
    written = export_weights(source, folder.config.model, target, kind)
    say(f"{written.n_tensors} tensors, {written.n_parameters:,} parameters, step {written.step:,}")
    print(Path(target))
