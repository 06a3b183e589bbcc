"""Optional extras: what is said when one is needed and not installed."""

from __future__ import annotations

import importlib.util

from femtotui.core.errors import FemtoError


class ExtraMissingError(FemtoError):
    """A part of femtotui that is not installed by itself."""

    title = "That needs an extra"


def require_extra(extra: str, module: str, what: str) -> None:
    """Raises: ExtraMissingError, with what to install, if `module` is not there. Imports nothing."""
    if importlib.util.find_spec(module) is None:
        raise ExtraMissingError(
            f"{what} needs {module}, which is not installed: pip install 'femtotui[{extra}]'"
        )
