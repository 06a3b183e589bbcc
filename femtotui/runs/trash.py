"""Deleted runs, which can be restored until the program ends. Quick to import: every exit empties it."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from femtotui.core.errors import RunError
from femtotui.core.files import os_error_words, own_folder
from femtotui.core.run_folder.lock import RunLock, holder_of

TRASH = ".trash"


class RunTrash:
    """The runs in a folder that this app has deleted.

    Every app has a folder of its own in `.trash`, locked while the app lives: another app leaves that alone,
    and removes what the dead have left.
    """

    def __init__(self, runs: Path) -> None:
        self._all = runs / TRASH
        self._own = self._all / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._lock: RunLock | None = None
        self._deleted: list[Path] = []

    @property
    def last(self) -> Path | None:
        """The run deleted last, where it was; None if there is none to restore."""
        return self._deleted[-1] if self._deleted else None

    def delete(self, run: Path) -> None:
        """Move a run into the trash beside it. Raises: RunError, also while a process trains it."""
        if holder_of(run) is not None:
            raise RunError(f"{run.name} is being trained: stop it first")
        try:
            self._open()
            run.rename(self._own / run.name)
        except OSError as error:
            raise RunError(f"cannot delete {run}: {os_error_words(error)}") from error
        self._deleted.append(run)

    def _open(self) -> None:
        """Raises: OSError, RunError."""
        if self._lock is None:
            own_folder(self._all).mkdir(parents=True, exist_ok=True)
            self._own.mkdir(exist_ok=True)
            self._lock = RunLock(self._own)

    def restore(self) -> None:
        """Move the run deleted last back. Raises: RunError."""
        was = self._deleted[-1]
        try:
            if was.exists():
                raise RunError(f"{was} is in the way")
            (self._own / was.name).rename(was)
        except OSError as error:
            raise RunError(f"cannot restore {was.name}: {os_error_words(error)}") from error
        self._deleted.pop()

    def empty(self) -> None:
        """Remove for good the runs that this app deleted, and those of apps that have ended."""
        self._deleted.clear()
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        with suppress(OSError):
            for folder in own_folder(self._all).iterdir():
                if holder_of(folder) is None:
                    shutil.rmtree(folder, ignore_errors=True)  # of a link in there, the link alone
            self._all.rmdir()
