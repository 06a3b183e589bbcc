"""A TOML file into frozen settings, with every way it can go wrong said in words.

A preset file may come from anyone: it is read up to a limit, and nothing in it reaches a screen unescaped.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from femtotui.core.config import Settings
from femtotui.core.errors import PresetError

from .problems import explain, visible

MAX_FILE_BYTES = 65_536
_Settings = TypeVar("_Settings", bound=Settings)


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
