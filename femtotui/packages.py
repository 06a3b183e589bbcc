"""Installed packages: the versions that processes must share to train together, and the optional extras."""

from __future__ import annotations

import importlib.metadata
import importlib.util

from femtotui.core.errors import FemtoError

from . import __version__


def versions_here() -> str:
    """The versions here, as `femtotui 1.2.3, NumPy 2.3.4`; does not import NumPy."""
    return f"femtotui {__version__}, NumPy {importlib.metadata.version('numpy')}"


class ExtraMissingError(FemtoError):
    """An optional dependency that is not installed."""

    title = "That needs an extra"


def require_extra(extra: str, module: str, what: str) -> None:
    """Check, without importing it, that `module` is installed. Raises: ExtraMissingError."""
    if importlib.util.find_spec(module) is None:
        raise ExtraMissingError(
            f"{what} needs {module}, which is not installed: pip install 'femtotui[{extra}]'"
        )
