"""Advice in keys and commands, added to errors of the core, which knows neither."""

from __future__ import annotations

from femtotui.core.errors import FemtoError, NoCheckpointError, RunLockedError

_HINTS = {
    RunLockedError: "attach to it with `femtotui attach`, or end that process first",
    NoCheckpointError: "c saves one in the app",
}


def with_hint(error: FemtoError) -> str:
    """The message of an error, with what to press or type where there is something."""
    hint = next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), "")
    return f"{error}; {hint}" if hint else str(error)
