"""Reading settings from a TOML file, with a readable message for every error.

A preset file may come from anyone: it is read up to a limit, and nothing in it reaches a screen unescaped.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import msgspec.inspect as types

from femtotui.core.config import ConfigStruct, number_words, without_none
from femtotui.core.errors import ConfigError, PresetError
from femtotui.core.files import escaped, os_error_words

MAX_MESSAGE_LENGTH = 300
_AT_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_EXPECTED = re.compile(r"Expected `(\w+)( \| null)?`, got `")
_NAMES_PART = re.compile(r"\.?([^.\[\]]+)|(\[[^\]]*\])")
_UNKNOWN_FIELD = "Object contains unknown field `"
_MISSING_FIELD = "Object missing required field `"
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text in quotes",
    "bool": "true or false",
    "array": "a list in [ ]",
    "object": "a table",
}


def explain(error: msgspec.ValidationError, kind: type[msgspec.Struct]) -> ConfigError:
    """The error of decoding a `kind` with the full path of its field: `model.width needs ...`."""
    message, cause = str(error), error.__cause__
    found = _AT_PATH.search(message)
    what = message[: found.start()] if found else message
    path = found["path"].lstrip(".") if found else ""
    if isinstance(cause, ConfigError):
        return _config_error(cause.reason, path, cause.field)
    for start in (_UNKNOWN_FIELD, _MISSING_FIELD):
        if what.startswith(start):
            name = what[len(start) : -1]
            reason = "is missing: add it" if start == _MISSING_FIELD else _unknown(name, kind, path)
            return _config_error(reason, path, name)
    return _config_error(_wrong_value(what, _type_at(kind, path)), path)


def visible(text: str, most: int = MAX_MESSAGE_LENGTH) -> str:
    """`text` as one printable line of limited length: a file's contents may be hostile."""
    shown = escaped(text)
    return shown if len(shown) <= most else f"{shown[:most]}…"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean `x`?)` for the nearest of `known`, or nothing if none is near."""
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean `{nearest[0]}`?)" if nearest else ""


def _config_error(reason: str, *path: str) -> ConfigError:
    return ConfigError(visible(reason), ".".join(visible(part, 60) for part in path if part))


def _unknown(name: str, kind: type[msgspec.Struct], path: str) -> str:
    owner = _type_at(kind, path)
    known = [field.name for field in owner.fields] if isinstance(owner, types.StructType) else []
    hint = did_you_mean(name, known) or (f" (there are: {', '.join(known)})" if known else "")
    return f"is not a setting{hint}"


def _wrong_value(what: str, wanted: types.Type | None) -> str:
    if isinstance(wanted, types.LiteralType):
        given = what.partition(" value ")[2] or _given(what)
        return f"must be {' or '.join(map(repr, wanted.values))}, not {given}"
    if found := _EXPECTED.match(what):
        return f"needs {_WORDS.get(found[1], 'something else')}, not {_given(what)}"
    if isinstance(wanted, types.IntType | types.FloatType):
        return f"must be {number_words(wanted)}"
    return what


def _given(what: str) -> str:
    kind = what.rpartition("got `")[2].rstrip("`")
    return "a number with a decimal point" if kind == "float" else _WORDS.get(kind, f"a {kind}")


def _type_at(kind: type[msgspec.Struct], path: str) -> types.Type | None:
    """The type of the field at a path such as `model.width` or `notes[1]`; None if there is none."""
    wanted: types.Type | None = types.type_info(kind)
    for name, index in _NAMES_PART.findall(path):
        if index:
            is_table = isinstance(wanted, types.DictType)
            wanted = getattr(wanted, "value_type" if is_table else "item_type", None)
        else:
            fields = wanted.fields if isinstance(wanted, types.StructType) else ()
            wanted = next((field.type for field in fields if field.encode_name == name), None)
        wanted = without_none(wanted)
    return wanted


MAX_FILE_BYTES = 65_536
_Settings = TypeVar("_Settings", bound=ConfigStruct)


def read_file(path: str) -> bytes:
    """The bytes of a settings file.

    Raises: PresetError if it is missing, not a regular file, too large or unreadable.
    """
    name = visible(path)
    try:
        file = Path(path).expanduser()
        if not file.exists():
            raise PresetError(f"there is no file {name}: check the path")
        if not file.is_file():
            raise PresetError(f"{name} is not a file: give the path of a .toml file")
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError, RuntimeError) as error:  # a zero byte; no such ~user
        raise PresetError(f"cannot read {name}: {visible(os_error_words(error))}") from error
    if len(data) > MAX_FILE_BYTES:
        raise PresetError(f"{name} is larger than {MAX_FILE_BYTES:,} bytes: settings are a page of text")
    return data


def parse_toml(data: bytes, name: str) -> dict[str, Any]:
    """The tables of a TOML text; `name` identifies it in errors. Raises: PresetError if it is not TOML."""
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise PresetError(f"{name} is not UTF-8 text (byte {error.start:,}): save it as UTF-8") from error
    except RecursionError as error:
        raise PresetError(f"{name} is nested too deeply: settings go one table deep") from error
    except ValueError as error:  # tomllib's own, and that of an endless number
        raise PresetError(f"{name} is not valid TOML: {visible(str(error))}") from error


def to_settings(tables: dict[str, Any], kind: type[_Settings], name: str) -> _Settings:
    """Validated settings of the given kind from a TOML file's tables.

    Raises: PresetError with the file, the field and the reason.
    """
    try:
        return msgspec.convert(tables, kind)
    except msgspec.ValidationError as error:
        problem = explain(error, kind)
        raise PresetError(problem.reason, problem.field, prefix=f"{name}: ") from error
    except RecursionError as error:
        raise PresetError(f"{name} is nested too deeply: settings go one table deep") from error
