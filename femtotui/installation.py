"""femtotui on this machine: its folders and files, the versions of its packages, the optional extras."""

from __future__ import annotations

import importlib.util
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from femtotui.core.errors import FemtoError, RunError
from femtotui.core.files import require_utf8

from . import __version__

if TYPE_CHECKING:
    from platformdirs import PlatformDirs

RUNS_VARIABLE = "FEMTOTUI_RUNS"
CONFIG_VARIABLE = "FEMTOTUI_CONFIG"
CACHE_VARIABLE = "FEMTOTUI_CACHE"


def lasting_path(path: str) -> Path:
    """`path` (or glob) made absolute, so that it means the same from another folder."""
    given = Path(path)
    with suppress(RuntimeError):  # `~nobody` without such a user is the name of a file
        given = given.expanduser()
    try:
        return given.absolute()
    except OSError as error:
        raise RunError("the current folder no longer exists: change to one that does") from error


def choices_file() -> Path:
    """The measured threads, chunks and speeds of this machine (see `core.training.calibration`)."""
    return cache_folder() / "threads.json"


def runs_folder(asked: str | None = None) -> Path:
    """The folder of all runs: the one asked for, else `FEMTOTUI_RUNS`, else one in the user's data folder.

    Raises: RunError for a name that is not valid UTF-8.
    """
    chosen = asked or os.environ.get(RUNS_VARIABLE)
    if chosen:
        require_utf8(chosen, RunError)
        return lasting_path(chosen)
    return _user_folders().user_data_path / "runs"


def cache_folder() -> Path:
    """The folder of downloads and measurements: `FEMTOTUI_CACHE`, else in the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(os.path.expanduser(chosen))  # noqa: PTH111  (never raises, unlike Path's)
    return _user_folders().user_cache_path


def config_folder() -> Path:
    """The folder of the user's settings and presets: `FEMTOTUI_CONFIG`, else in the user's config folder."""
    chosen = os.environ.get(CONFIG_VARIABLE)
    return lasting_path(chosen) if chosen else _user_folders().user_config_path


def _user_folders() -> PlatformDirs:
    from platformdirs import PlatformDirs  # noqa: PLC0415  (only where no folder is chosen)

    return PlatformDirs("femtotui", appauthor=False)


# -- packages ------------------------------------------------------------------------------------------


def versions_here() -> str:
    """The versions that processes must share to train together: `femtotui 1.2.3, NumPy 2.3.4`."""
    from importlib.metadata import version  # noqa: PLC0415  (not needed to start; NumPy is not imported)

    return f"femtotui {__version__}, NumPy {version('numpy')}"


class ExtraMissingError(FemtoError):
    """An optional dependency that is not installed."""

    title = "That needs an extra"


def require_extra(extra: str, module: str, what: str) -> None:
    """Check, without importing it, that `module` is installed. Raises: ExtraMissingError."""
    if importlib.util.find_spec(module) is None:
        raise ExtraMissingError(
            f"{what} needs {module}, which is not installed: pip install 'femtotui[{extra}]'"
        )
