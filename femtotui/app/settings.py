"""The settings file: a theme, the characters of charts, and your own keys. An error costs that line only.

theme = "nord"
chart = "blocks"          # auto, braille, blocks or ascii

[keys]
pause = "f5"              # an action, and the key or keys ("f5,p") that do it
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec
from textual.keys import _character_to_key

from femtotui.core.errors import ConfigError, PresetError
from femtotui.core.files import write_atomically
from femtotui.presets.toml_file import did_you_mean, explain, parse_toml, read_file, visible

from ..chart.glyphs import GlyphsName

_KEY = re.compile(r"(?:(?:ctrl|shift|alt|super)\+)*(?:[a-zA-Z0-9]|[a-z][a-z0-9_]+)")


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of the file."""

    theme: str = ""
    chart: GlyphsName = "auto"
    keys: dict[str, str] = {}

    def __post_init__(self) -> None:
        for key in self.keys.values():
            if not key_name(key):
                raise ConfigError(f'must be a key such as "f5", "ctrl+k" or "g", not {key!r}', "keys")


class Settings(_File, frozen=True):
    """The settings that can be used; `problems` describes the lines that cannot, in a line of text each."""

    problems: tuple[str, ...] = ()


def load_settings(path: Path) -> Settings:
    """The settings in a file; the defaults if there is none. Never fails."""
    try:
        return parse_settings(read_file(str(path)), path.name) if path.exists() else Settings()
    except (OSError, PresetError) as error:
        return Settings(problems=(f"{visible(str(error))}; the defaults are used",))


def save_theme(path: Path, theme: str) -> None:
    """Set the theme in a settings file, and leave the rest as it is. Raises: OSError."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    top = next((number for number, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
    kept = [line for line in lines[:top] if not re.match(r"\s*[\"']?theme[\"']?\s*=", line)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "\n".join([f'theme = "{theme}"', *kept, *lines[top:], ""]).encode())


def parse_settings(data: bytes, name: str = "settings.toml") -> Settings:
    """The settings in a TOML text, each validated on its own. Never fails."""
    try:
        tables = parse_toml(data, name)
    except PresetError as error:
        return Settings(problems=(f"{error}; the defaults are used",))
    lines = data.decode().splitlines()
    settings: dict[str, Any] = {"keys": {}}
    problems = []
    for table, field, value in _entries(tables):
        try:
            msgspec.convert({table: {field: value}} if table else {field: value}, _File)
        except msgspec.ValidationError as error:
            reason = explain(error, _File).reason
            problems.append(f"{_place(name, lines, field, table)}: `{visible(field)}` {reason}")
        else:
            if table:
                settings[table][field] = key_name(value)
            else:
                settings[field] = value
    return Settings(**settings, problems=tuple(problems))


def _entries(tables: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Each setting with the table that it stands in, "" outside of one."""
    for field, value in tables.items():
        if field == "keys" and isinstance(value, dict):
            yield from ((field, action, key) for action, key in value.items())
        else:
            yield "", field, value


def _place(name: str, lines: list[str], key: str, table: str = "") -> str:
    """The file and, if it is found, the line that sets `key` in `table` or opens a table of that name."""
    inside = ""
    setting = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
    for number, line in enumerate(lines, 1):
        header = re.match(r"\s*\[\s*([^\]]*?)\s*\]", line)
        inside = header[1] if header else inside
        if (header and inside == key and not table) or (inside == table and setting.match(line)):
            return f"{name}, line {number}"
    return name


def key_name(keys: str) -> str:
    """Keys as Textual names them (`?` is `question_mark`), separated by commas; empty if one is not a key."""
    given = [keys] if len(keys) == 1 else [key.strip() for key in keys.split(",")]
    names = [_character_to_key(key) if len(key) == 1 else key for key in given]
    return ",".join(names) if all(_KEY.fullmatch(name) for name in names) else ""


def known_keys(settings: Settings, actions: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """The keys of actions that exist, and the problems: unknown actions, and keys given twice."""
    owners: dict[str, str] = {}
    keys, problems = {}, []
    for action, given in settings.keys.items():
        twice = next((key for key in given.split(",") if key in owners), None)
        if action not in actions:
            problems.append(f"keys: there is no action `{visible(action)}`{did_you_mean(action, actions)}")
        elif twice:
            problems.append(f"keys: `{twice}` is given to both {owners[twice]} and {action}")
        else:
            owners |= dict.fromkeys(given.split(","), action)
            keys[action] = given
    return keys, problems
