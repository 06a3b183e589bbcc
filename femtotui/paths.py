"""Where femtotui keeps things on this machine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from femtotui.core.errors import RunError
from femtotui.core.files import require_utf8

RUNS_VARIABLE = "FEMTOTUI_RUNS"
CONFIG_VARIABLE = "FEMTOTUI_CONFIG"
CACHE_VARIABLE = "FEMTOTUI_CACHE"


def lasting_path(path: str) -> Path:
    """`path` (or glob) made absolute, so that it means the same from another folder."""
    given = Path(path)
    with suppress(RuntimeError):  # `~nobody`: then that is the name of a file
        given = given.expanduser()
    try:
        return given.absolute()
    except OSError as error:
        raise RunError("the current folder no longer exists: change to one that does") from error


def choices_file() -> Path:
    """What this machine remembers of threads, chunks and speed (see `core.calibration`)."""
    return cache_folder() / "threads.json"


def runs_folder(asked: str | None = None) -> Path:
    """The folder of all runs: the one asked for, else `FEMTOTUI_RUNS`, else one in the user's data folder.

    Raises: RunError for a name that could not be written down.
    """
    chosen = asked or os.environ.get(RUNS_VARIABLE)
    if chosen:
        require_utf8(chosen, RunError)
        return lasting_path(chosen)
    import platformdirs  # noqa: PLC0415  (only where nothing was chosen)

    return platformdirs.user_data_path("femtotui", appauthor=False) / "runs"


def cache_folder() -> Path:
    """Where things are kept that can be had again: `FEMTOTUI_CACHE`, else one in the user's cache folder.

    The same folder that presets keep their downloads in.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(os.path.expanduser(chosen))  # noqa: PTH111  (never raises, unlike Path's)
    import platformdirs  # noqa: PLC0415  (only where nothing was chosen)

    return platformdirs.user_cache_path("femtotui", appauthor=False)


def config_folder() -> Path:
    """Where settings and presets of one's own are: `FEMTOTUI_CONFIG`, else in the user's config folder."""
    chosen = os.environ.get(CONFIG_VARIABLE)
    if chosen:
        return lasting_path(chosen)
    import platformdirs  # noqa: PLC0415  (only where nothing was chosen)

    return platformdirs.user_config_path("femtotui", appauthor=False)
