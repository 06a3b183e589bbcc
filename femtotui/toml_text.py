"""Settings as TOML: as much of it as presets need, since Python only reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def to_toml(settings: Mapping[str, Any]) -> str:
    """Plain values first, then a table for each group; None is left out, as TOML has no word for it."""
    plain = {key: value for key, value in settings.items() if not isinstance(value, Mapping)}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items() if value is not None]
    for key, group in settings.items():
        if isinstance(group, Mapping):
            lines += ["", f"[{key}]"]
            lines += [f"{name} = {_value(value)}" for name, value in group.items() if value is not None]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            return f'"{"".join(map(_letter, value))}"'
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def _letter(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"
