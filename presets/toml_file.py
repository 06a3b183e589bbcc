"""A TOML file into frozen settings, with every way it can go wrong said in words.

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
import msgspec.inspect

from femtotui.core.config import ConfigStruct
from femtotui.core.errors import PresetError
from femtotui.core.files import escaped

MAX_MESSAGE_LENGTH = 300
_AT_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_NAMES_PART = re.compile(r"\.?([^.\[\]]+)|(\[[^\]]*\])")
_LIMIT = re.compile(r"Expected `\w+` (?P<sign>[<>]=) (?P<bound>\S+)")
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
_TYPE_WORDS: dict[type[msgspec.inspect.Type], str] = {
    msgspec.inspect.IntType: _WORDS["int"],
    msgspec.inspect.FloatType: _WORDS["float"],
    msgspec.inspect.StrType: _WORDS["str"],
    msgspec.inspect.BoolType: _WORDS["bool"],
    msgspec.inspect.VarTupleType: _WORDS["array"],
    msgspec.inspect.StructType: _WORDS["object"],
}


def explain(error: msgspec.ValidationError, kind: type[msgspec.Struct]) -> str:
    """Says what `error`, met while reading a `kind`, means: `model.width: needs a whole number ...`."""
    message = str(error)
    found = _AT_PATH.search(message)
    what = message[: found.start()] if found else message
    path = found["path"].lstrip(".") if found else ""
    reason = _reason(what, _type_at(kind, path))
    return visible(f"{path}: {reason}" if path else reason)


def visible(text: str) -> str:
    """`text` as one printable line of bearable length: a file's own words may be hostile."""
    shown = escaped(text)
    return shown if len(shown) <= MAX_MESSAGE_LENGTH else f"{shown[:MAX_MESSAGE_LENGTH]}…"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean `x`?)` for the nearest of `known`, or nothing if none is near."""
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean `{nearest[0]}`?)" if nearest else ""


def _reason(what: str, wanted: msgspec.inspect.Type | None) -> str:
    if what.startswith(_UNKNOWN_FIELD):
        return _unknown_field(what[len(_UNKNOWN_FIELD) : -1], wanted)
    if what.startswith(_MISSING_FIELD):
        return f"the field `{what[len(_MISSING_FIELD) : -1]}` is missing: add it"
    if what.startswith("Invalid ") and isinstance(wanted, msgspec.inspect.LiteralType):
        return f"must be {' or '.join(map(repr, wanted.values))}, not {what.partition(' value ')[2]}"
    return _wrong_value(what, wanted)


def _wrong_value(what: str, wanted: msgspec.inspect.Type | None) -> str:
    if limit := _LIMIT.fullmatch(what):
        return f"needs {_words_for(wanted)} {limit['sign']} {limit['bound']}"
    if what.startswith("Expected "):
        return f"needs {_words_for(wanted)}, not {_got(what)}"
    if what == "Number out of range":
        return f"needs {_words_for(wanted)} of a sensible size"
    return what


def _unknown_field(name: str, wanted: msgspec.inspect.Type | None) -> str:
    known = [field.name for field in wanted.fields] if isinstance(wanted, msgspec.inspect.StructType) else []
    hint = did_you_mean(name, known) or (f" (there are: {', '.join(known)})" if known else "")
    return f"there is no field `{name[:60]}`{hint}"


def _words_for(wanted: msgspec.inspect.Type | None) -> str:
    if isinstance(wanted, msgspec.inspect.LiteralType):
        return " or ".join(map(repr, wanted.values))
    return _TYPE_WORDS.get(type(wanted), "something else") if wanted else "something else"


def _got(what: str) -> str:
    kind = what.rpartition("got `")[2].rstrip("`")
    return "a number with a decimal point" if kind == "float" else _WORDS.get(kind, f"a {kind}")


def _type_at(kind: type[msgspec.Struct], path: str) -> msgspec.inspect.Type | None:
    """The type of the field at a path such as `model.width` or `notes[1]`; None if there is none."""
    wanted: msgspec.inspect.Type | None = msgspec.inspect.type_info(kind)
    for name, index in _NAMES_PART.findall(path):
        wanted = _item_type(wanted) if index else _field_type(wanted, name)
    return _without_none(wanted)


def _field_type(owner: msgspec.inspect.Type | None, name: str) -> msgspec.inspect.Type | None:
    owner = _without_none(owner)
    if not isinstance(owner, msgspec.inspect.StructType):
        return None
    return next((field.type for field in owner.fields if field.encode_name == name), None)


def _item_type(owner: msgspec.inspect.Type | None) -> msgspec.inspect.Type | None:
    return owner.item_type if isinstance(owner, msgspec.inspect.VarTupleType) else None


def _without_none(wanted: msgspec.inspect.Type | None) -> msgspec.inspect.Type | None:
    """`X` for `X | None`: TOML cannot write None, so nobody need hear of it."""
    if not isinstance(wanted, msgspec.inspect.UnionType):
        return wanted
    return next((t for t in wanted.types if not isinstance(t, msgspec.inspect.NoneType)), None)


MAX_FILE_BYTES = 65_536
_Settings = TypeVar("_Settings", bound=ConfigStruct)


def read_file(path: str) -> bytes:
    """The bytes of a settings file.

    Raises: PresetError if it is missing, no plain file, too large or unreadable.
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
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # ValueError: a null byte; RuntimeError: no such ~user
        raise PresetError(
            f"cannot read {name}: {visible(getattr(error, 'strerror', None) or str(error))}"
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise PresetError(f"{name} is larger than {MAX_FILE_BYTES:,} bytes: a preset is a page of settings")
    return data


def parse_toml(data: bytes, name: str) -> dict[str, Any]:
    """The tables of a TOML text; `name` is what to call it in an error.

    Raises: PresetError if it is not TOML.
    """
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise PresetError(f"{name} is not UTF-8 text (byte {error.start:,}): save it as UTF-8") from error
    except RecursionError as error:
        raise PresetError(f"{name} is nested too deeply: settings go one table deep") from error
    except ValueError as error:  # tomllib's own, and that of an endless number
        raise PresetError(f"{name} is not valid TOML: {visible(str(error))}") from error


def to_settings(tables: dict[str, Any], kind: type[_Settings], name: str) -> _Settings:
    """Validated settings of the given kind out of a TOML file's tables.

    Raises: PresetError naming the file, the field and what would do.
    """
    try:
        return msgspec.convert(tables, kind)
    except msgspec.ValidationError as error:
        raise PresetError(f"{name}: {explain(error, kind)}") from error
    except RecursionError as error:
        raise PresetError(f"{name} is nested too deeply: settings go one table deep") from error
