"""Output of the command line: results on standard output, messages on standard error.

Text from outside (names, paths, data) is made inert here and nowhere else: `say`, `print_text`, `print_path`
and the cells of `table` show control characters as visible glyphs, and Rich markup is never interpreted.
Rich is imported where it is used: `--help` and JSON do without it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from femtotui.core.errors import FemtoError

from ..text.safe import say, with_hint

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    Line = str | Text
    Cell = Line | tuple[Line, ...]


def say_error(error: FemtoError) -> None:
    """Print an error as the one line that a user gets for it."""
    say(f"femtotui: {error.title}: {with_hint(error)}")


def print_text(text: str, end: str = "\n") -> None:
    """Print text for people on standard output; line breaks stay."""
    from ..text.safe import printable  # noqa: PLC0415  (loads Rich)

    print(printable(text), end=end, flush=True)


def print_path(path: Path) -> None:
    """Print a path on standard output: inert on a terminal, exact for a program that reads it."""
    if sys.stdout.isatty():
        print_text(str(path))
    else:
        print(path)


def print_json(value: object) -> None:
    """Print indented JSON on standard output."""
    _print_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_json_line(value: object) -> None:
    """Print JSON as one line on standard output, which can be read at once. Raises: OSError."""
    _print_bytes(msgspec.json.encode(value))


def _print_bytes(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def print_rich(*renderables: RenderableType) -> None:
    """Print Rich renderables on standard output, without markup or highlighting."""
    from rich.console import Console  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    for renderable in renderables:
        console.print(renderable)


def terminal_width() -> int:
    """The number of columns that Rich would use on standard output."""
    from rich.console import Console  # noqa: PLC0415

    return Console().width


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    gap: int = 2,
    no_wrap: bool = False,
    fold: bool = False,
    min_width: int = 0,
) -> Table:
    """A borderless table. A header that begins with `>` is right-aligned; a tuple is a cell of several lines.

    `gap` separates columns; `fold` breaks long words where they would be cut with an ellipsis.
    """
    from rich.table import Table  # noqa: PLC0415

    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, gap, 0, 0))
    for header in headers:
        made.add_column(
            header.removeprefix(">"),
            justify="right" if header.startswith(">") else "left",
            no_wrap=no_wrap,
            overflow="fold" if fold else "ellipsis",
            min_width=min_width,
        )
    for row in rows:
        made.add_row(*map(_cell, row))
    return made


def styled(text: str, style: str) -> Text:
    """One line in a Rich style, inert."""
    from rich.text import Text  # noqa: PLC0415

    from ..text.safe import one_line  # noqa: PLC0415

    return Text(one_line(text), style)


def _cell(cell: Cell) -> Text:
    from rich.text import Text  # noqa: PLC0415

    lines = cell if isinstance(cell, tuple) else (cell,)
    return Text("\n").join(styled(line, "") if isinstance(line, str) else line for line in lines)


def discard_output() -> None:
    """Send standard output nowhere: what is still in its buffer must not fail again when Python ends."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


class ProgressBar:
    """A bar on standard error: a count before it, figures behind it; drawn only when it is told to."""

    def __init__(self, width: int, unit: str = "") -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

        self.console = Console(stderr=True)
        self._progress = Progress(
            TextColumn(f"{{task.completed:,.0f}}/{{task.total:,.0f}}{unit}"),
            BarColumn(bar_width=width),
            TextColumn("{task.fields[figures]}", markup=False),
            console=self.console,
            auto_refresh=False,
        )
        self._task = self._progress.add_task("", total=None, figures="")

    def start(self, completed: int, total: int, figures: str = "") -> None:
        self._progress.update(self._task, total=total, completed=completed, figures=figures)
        self._progress.start()

    def draw(self, completed: int, figures: str) -> None:
        self._progress.update(self._task, completed=completed, figures=figures)
        self._progress.refresh()

    def stop(self, completed: int | None = None) -> None:
        self._progress.update(self._task, completed=completed)
        self._progress.stop()


@contextmanager
def download_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar for a download, on a terminal; yields the function that takes bytes received and in all."""
    if not sys.stderr.isatty():
        yield lambda _received, _total: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    columns = "downloading", BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("download", total=None)
        yield lambda received, total: progress.update(task, completed=received, total=total or None)
