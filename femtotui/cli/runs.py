"""`femtotui journal`: every run's own entry, as one document."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from femtotui.core.errors import RunError

from .arguments import say
from .paths import runs_folder
from .run_options import json_option, print_json, runs_option

if TYPE_CHECKING:
    from femtotui.core.entry import Entry


@click.command()
@click.argument("run", required=False)
@click.option("--note", metavar="TEXT", help="Replace the note of RUN with these words.")
@runs_option
@json_option
def journal(run: str | None, note: str | None, runs: str | None, as_json: bool) -> None:
    """The journal of all runs, oldest first, as one Markdown document; with RUN, that one's entry.

    Every run keeps its own entry in entry.md, true at every checkpoint. Your words are in note.md beside it.
    """
    from femtotui.core.entry import gather_entry  # noqa: PLC0415
    from femtotui.core.runs import find_run, list_runs  # noqa: PLC0415

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
    from femtotui.core.entry import write_entry  # noqa: PLC0415
    from femtotui.core.note import write_note  # noqa: PLC0415

    write_note(folder, note)
    write_entry(folder)


def _entry_or_word(folder: Path) -> Entry | None:
    """The entry; for a damaged run a word on standard error, so that the others are still printed."""
    from femtotui.core.entry import gather_entry  # noqa: PLC0415

    try:
        return gather_entry(folder)
    except RunError as error:
        say(f"left out: {error}")
        return None


def _print_markdown(entries: list[Entry]) -> None:
    from femtotui.core.entry_text import entry_markdown  # noqa: PLC0415

    from .safe_text import printable  # noqa: PLC0415

    print("\n".join(printable(entry_markdown(entry)) for entry in entries), end="")
