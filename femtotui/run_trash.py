"""Deleting runs, with a way back until the program ends. Quick to import: every end of the app comes by."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from femtotui.core.errors import RunError
from femtotui.core.files import os_error_words
from femtotui.core.lock import holder_of

TRASH = ".trash"


@dataclass(frozen=True)
class Deleted:
    """A run that can still be fetched back."""

    was: Path
    now: Path


def delete_run(run: Path) -> Deleted:
    """Put a run into the trash beside it.

    Raises: RunError, also while a process trains it.
    """
    if holder_of(run) is not None:
        raise RunError(f"{run.name} is being trained: stop it first")
    trash = run.parent / TRASH
    try:
        trash.mkdir(exist_ok=True)
        now = trash / run.name
        run.rename(now)
    except OSError as error:
        raise RunError(f"cannot delete {run}: {os_error_words(error)}") from error
    return Deleted(run, now)


def undelete(deleted: Deleted) -> None:
    """Fetch a run back from the trash. Raises: RunError."""
    try:
        if deleted.was.exists():
            raise RunError(f"{deleted.was} is in the way")
        deleted.now.rename(deleted.was)
    except OSError as error:
        raise RunError(f"cannot fetch {deleted.was.name} back: {os_error_words(error)}") from error


def empty_trash(runs: Path) -> None:
    """Remove for good what was deleted."""
    shutil.rmtree(runs / TRASH, ignore_errors=True)
