"""The versions that two processes must share to train the same: femtotui's and NumPy's."""

from __future__ import annotations

import importlib.metadata
import importlib.util

from femtotui.core.errors import FemtoError

from . import __version__


def versions_here() -> str:
    """`femtotui 1.2.3, NumPy 2.3.4`; reads no module, so NumPy need not be imported."""
    return f"femtotui {__version__}, NumPy {importlib.metadata.version('numpy')}"


class ExtraMissingError(FemtoError):
    """A part of femtotui that is not installed by itself."""

    title = "That needs an extra"


def require_extra(extra: str, module: str, what: str) -> None:
    """Raises: ExtraMissingError, with what to install, if `module` is not there. Imports nothing."""
    if importlib.util.find_spec(module) is None:
        raise ExtraMissingError(
            f"{what} needs {module}, which is not installed: pip install 'femtotui[{extra}]'"
        )
