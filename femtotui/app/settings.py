"""The settings file: a theme, how charts are drawn, and keys of one's own. An error costs that line only.

theme = "nord"
chart = "blocks"          # auto, braille, blocks or ascii

[keys]
pause = "f5"              # an action, and the key or keys ("f5,p") that do it
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from femtotui.core.files import os_error_words
from femtotui.presets.toml_file import did_you_mean, visible

from ..chart.glyphs import GLYPHS_NAMES, GlyphsName

MAX_BYTES = 65_536
_KEY = re.compile(r"(?:(?:ctrl|shift|alt|super)\+)*(?:[a-zA-Z0-9]|[a-z][a-z0-9_]+)")
_CHARACTERS = {
    "?": "question_mark", "/": "slash", "+": "plus", "-": "minus", ".": "full_stop", ",": "comma",
    " ": "space",
    "*": "asterisk", "#": "number_sign", "<": "less_than_sign", ">": "greater_than_sign", "=": "equals_sign",
    "[": "left_square_bracket", "]": "right_square_bracket", ";": "semicolon", ":": "colon",
    "!": "exclamation_mark",
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What a person set; `problems` names the lines that were passed over, one a line of text."""

    theme: str = ""
    chart: GlyphsName = "auto"
    keys: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def load_settings(path: Path) -> Settings:
    """The settings in a file; without one, the defaults. Never fails."""
    try:
        if not path.exists():
            return Settings()
        data = path.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        return Settings(problems=(f"{path.name} cannot be read: {os_error_words(error)}",))
    if len(data) > MAX_BYTES:
        return Settings(problems=(f"{path.name} is larger than {MAX_BYTES:,} bytes: the defaults are used",))
    return parse_settings(data, path.name)


def parse_settings(data: bytes, name: str = "settings.toml") -> Settings:
    """The settings in a text, whatever it is."""
    try:
        text = data.decode("utf-8")
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        words = visible(str(error) or "nested too deeply")
        return Settings(problems=(f"{name}: {words}; the defaults are used",))
    reader = _Reader(name, text)
    return Settings(
        theme=reader.text(tables, "theme"),
        chart=reader.one_of(tables, "chart", GLYPHS_NAMES, "auto"),
        keys=reader.keys(tables),
        problems=reader.leftovers(tables, ("theme", "chart", "keys")),
    )


class _Reader:
    """Takes what is right, and notes the line of what is not."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._lines = name, text.splitlines()
        self._problems: list[str] = []

    def _note(self, key: str, words: str, table: str = "") -> None:
        line = self._line_of(key, table)
        place = f"{self._name}, line {line}" if line else self._name
        self._problems.append(f"{place}: {visible(words)}")

    def _line_of(self, key: str, table: str) -> int | None:
        inside = ""
        pattern = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
        for number, line in enumerate(self._lines, 1):
            header = re.match(r"\s*\[\s*([^\]]*?)\s*\]", line)
            if header:
                inside = header[1]
                if key == inside and not table:
                    return number
            elif inside == table and pattern.match(line):
                return number
        return None

    def text(self, tables: Mapping[str, Any], key: str) -> str:
        value = tables.get(key, "")
        if isinstance(value, str):
            return value
        self._note(key, f"`{key}` needs a text in quotes")
        return ""

    def one_of(
        self, tables: Mapping[str, Any], key: str, known: tuple[GlyphsName, ...], default: GlyphsName
    ) -> GlyphsName:
        value = tables.get(key, default)
        for name in known:
            if value == name:
                return name
        self._note(key, f"`{key}` must be {', '.join(known[:-1])} or {known[-1]}, not {value!r}")
        return default

    def keys(self, tables: Mapping[str, Any]) -> dict[str, str]:
        given = tables.get("keys", {})
        if not isinstance(given, dict):
            self._note("keys", "`keys` must be a table: [keys]")
            return {}
        found = {}
        for action, value in given.items():
            key = key_name(value) if isinstance(value, str) else ""
            if key:
                found[action] = key
            else:
                self._note(action, f'{value!r} is no key: write it as in "f5", "ctrl+k" or "g"', "keys")
        return found

    def leftovers(self, tables: Mapping[str, Any], known: Collection[str]) -> tuple[str, ...]:
        for key in tables:
            if key not in known:
                self._note(key, f"there is no setting `{key}`{did_you_mean(key, known)}")
        return tuple(self._problems)


def key_name(keys: str) -> str:
    """Keys as Textual calls them (`?` is `question_mark`), with commas between; empty if one is none."""
    if keys in _CHARACTERS:
        return _CHARACTERS[keys]
    names = [_CHARACTERS.get(key.strip(), key.strip()) for key in keys.split(",")]
    return ",".join(names) if all(_KEY.fullmatch(name) for name in names) else ""


def known_keys(settings: Settings, actions: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """The keys for actions there are, and what to say of the others and of keys given twice."""
    taken: dict[str, str] = {}
    keys, problems = {}, []
    for action, given in settings.keys.items():
        if action not in actions:
            problems.append(f"keys: there is no action `{visible(action)}`{did_you_mean(action, actions)}")
            continue
        twice = next((key for key in given.split(",") if key in taken), None)
        if twice:
            problems.append(f"keys: `{twice}` is given to both {taken[twice]} and {action}")
            continue
        taken |= dict.fromkeys(given.split(","), action)
        keys[action] = given
    return keys, problems
