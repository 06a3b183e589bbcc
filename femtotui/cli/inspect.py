"""`femtotui inspect`: attention, logit lens, layers and weights of a trained model, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click import option

from femtotui.core.errors import DataError
from femtotui.core.files import reraise_os_errors, write_atomically

from ..blas.kernel import prepare_blas
from ..installation import lasting_path
from ..text.safe import say, unwrapped
from .options import CliCommand, checkpoint_option, json_lines_option, run_argument, runs_option
from .output import discard_output, print_json_line, print_path, print_rich, styled, table, terminal_width

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..inspection.report import Part

_SVG_WIDTH, _MAP_WIDTH = 100, 128


@click.command(
    cls=CliCommand,
    examples={
        "inspect --text '13 + 29 = '": "the latest run",
        "inspect latest --layers --json": "the layers, for programs",
        "inspect --weights head.weight": "a tensor as a map",
    },
)
@run_argument()
@option("--text", default="", help="The text to read (default: a newline).")
@option("--token", type=int, metavar="N", help="Look at token N of the text, from 1 on (default: the last).")
@option("--attention", is_flag=True, help="The tokens that each head looked at most.")
@option("--layer", type=int, metavar="N", help="Attention in this layer alone, from 1 on.")
@option("--head", type=int, metavar="N", help="Attention of this head alone, from 1 on.")
@option("--lens", is_flag=True, help="The next token as it would be after each layer (logit lens).")
@option("--layers", is_flag=True, help="Stream, gradients, updates and units by layer, in a training step.")
@option("--weights", metavar="NAME", help="A tensor, such as layers.0.attention.queries or head.weight.")
@checkpoint_option
@runs_option
@json_lines_option
@option("--svg", metavar="FILE", help="Write the tables as a picture instead; replaces an older one.")
def inspect(
    run: str,
    text: str,
    token: int | None,
    attention: bool,
    layer: int | None,
    head: int | None,
    lens: bool,
    layers: bool,
    weights: str | None,
    checkpoint: str,
    runs: Path,
    as_json: bool,
    svg: str | None,
) -> None:
    """Look inside RUN: its folder, its name or a part of it, or a checkpoint file (default: the latest).

    Prints attention, lens and layers unless you say which. Nothing in the run folder changes.
    """
    picture = lasting_path(svg) if svg is not None else None
    if picture is not None and picture.suffix.lower() != ".svg":
        raise DataError(f"{svg} does not end in .svg: a picture is written there")
    flags = {"attention": attention, "lens": lens, "layers": layers, "weights": weights is not None}
    views = [view for view, asked in flags.items() if asked] or ["attention", "lens", "layers"]
    if "attention" not in views and (layer, head) != (None, None):
        raise click.UsageError("--layer and --head choose among --attention: add it")
    prepare_blas()
    from rich.console import Console  # noqa: PLC0415

    from femtotui.core.run_folder.saved_model import open_saved  # noqa: PLC0415

    from ..inspection.report import Reading, text_parts, weights_part  # noqa: PLC0415
    from ..tokens.colours import console_ground  # noqa: PLC0415
    from ..tokens.export_formats import SVG_GROUND  # noqa: PLC0415

    saved = open_saved(runs, run, checkpoint)
    notes, parts = [*saved.notes], []
    if views != ["weights"]:
        reading = Reading.of(saved.sampler, text, token)
        parts = text_parts(saved, reading, views, layer, head)
        notes += reading.notes if views != ["layers"] or parts[0].note else ()
    if weights is not None:
        width = _SVG_WIDTH if picture is not None else min(terminal_width(), _MAP_WIDTH)
        ground = SVG_GROUND if picture is not None else console_ground(Console())
        parts.append(weights_part(saved.sampler, weights, width, ground))
    for note in (*notes, *(part.note for part in parts if part.note)):
        say(f"note: {note}")
    title = unwrapped(saved.name)
    if picture is not None:
        _write_picture(picture, title, _renderables(parts))
    try:
        if as_json:
            print_json_line({"view": "model", "model": saved.name})
            for row in chain.from_iterable(part.rows for part in parts):
                print_json_line(row)
        elif picture is not None:
            print_path(picture)
        else:
            print_rich(styled(title, ""), *_renderables(parts))
    except BrokenPipeError:
        discard_output()


def _renderables(parts: Sequence[Part]) -> Iterator[RenderableType]:
    """Each part below its title."""
    for part in parts:
        yield from ("", styled(part.title, "bold underline"))
        yield part.lines if part.lines is not None else table(part.headers, part.cells, gap=part.gap)


def _write_picture(path: Path, title: str, shown: Iterable[RenderableType]) -> None:
    """Raises: DataError."""
    from rich.console import Console  # noqa: PLC0415

    from ..tokens.export_formats import recorded_svg  # noqa: PLC0415

    console = Console(record=True, width=_SVG_WIDTH, file=StringIO(), color_system="truecolor", markup=False)
    for each in list(shown)[1:]:
        console.print(each, highlight=False, emoji=False)
    with reraise_os_errors(DataError, f"write {path}"):
        write_atomically(path, recorded_svg(console, title).encode("utf-8", "replace"))
