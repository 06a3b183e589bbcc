"""Keys and commands that help with an error, added to messages of the core and presets, which name none."""

from __future__ import annotations

from femtotui.core.errors import (
    FemtoError,
    NoCheckpointError,
    RunLockedError,
    TextUnavailableError,
    UnknownPresetError,
)

_HINTS = {
    RunLockedError: "attach to it with `femtotui attach`, or end that process first",
    NoCheckpointError: "c saves one in the app",
    TextUnavailableError: "`--data FILE` trains on your own text",
    UnknownPresetError: "`femtotui presets` lists them",
}


def with_hint(error: FemtoError) -> str:
    """The message of an error, with a key or command that helps, where there is one."""
    hint = next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), "")
    return f"{error}; {hint}" if hint else str(error)
