"""Completes the name of a saved model as it is typed: a run, a checkpoint in it, or a path to either."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from textual.suggester import Suggester

from femtotui.core.saved import SUFFIX

AGAINST = " vs "
"""Stands between two saved models that are to be set beside each other."""


class ModelSuggester(Suggester):
    """Looks into the runs folder first, and at the disk for what begins as a path does."""

    def __init__(self, runs: Path) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._runs = runs

    async def get_suggestion(self, value: str) -> str | None:
        return completed_model(self._runs, value)


def completed_model(runs: Path, typed: str) -> str | None:
    """`typed` with its last name completed to the newest that begins so; None if there is none."""
    head, against, last = typed.rpartition(AGAINST)
    folder, slash, start = last.rpartition("/")
    if not last:
        return None
    with suppress(OSError, RuntimeError, ValueError):  # unreadable, `~nobody`, a zero byte
        for path in _newest_first(_folder_of(runs, folder + slash)):
            if path.name.startswith(start) and path.name.isprintable() and _may_lead_on(path):
                end = "/" if path.is_dir() and not (path / "run.json").is_file() else ""
                return f"{head}{against}{folder}{slash}{path.name}{end}"
    return None


def _folder_of(runs: Path, typed: str) -> Path:
    if typed.startswith((".", "~")):
        return Path(typed).expanduser()
    return runs / typed


def _newest_first(folder: Path) -> list[Path]:
    """Runs by the date in their names, checkpoints by their step."""
    return sorted(folder.iterdir(), key=lambda path: _order(path.name), reverse=True)


def _order(name: str) -> tuple[int, str]:
    return (len(name) if name.endswith(SUFFIX) else 0), name


def _may_lead_on(path: Path) -> bool:
    return path.name.endswith(SUFFIX) or (path.is_dir() and not path.name.startswith("."))
