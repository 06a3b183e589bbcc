"""The format number that every file of a run carries, looked at before anything else in the file."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from .errors import ConfigError, FemtoError, RunError
from .files import os_error_words, read_limited

_Record = TypeVar("_Record", bound=msgspec.Struct)


class _AnyFormat(msgspec.Struct):
    format: int = 1


def refuse_newer(text: bytes | str, known: int, what: Path | str, refusal: type[FemtoError]) -> None:
    """Refuses a file of a later femtotui; one that says no format is of the first.

    Raises: `refusal`; ValueError or RecursionError for what is no JSON object.
    """
    found = msgspec.json.decode(text, type=_AnyFormat).format
    if found > known:
        raise refusal(f"{what} was written by a newer femtotui (format {found}): update femtotui to open it")


def read_record(path: Path, record: type[_Record], known: int, limit: int) -> _Record | None:
    """What the JSON file `path` says, of `limit` bytes and format `known` at most; None if it is not there.

    Raises: RunError for one that cannot be read, is damaged, or is of a newer format.
    """
    try:
        text = read_limited(path, limit)
        refuse_newer(text, known, path, RunError)
        return msgspec.json.decode(text, type=record)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"cannot read {path}: {os_error_words(error)}") from error
    except (ConfigError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise RunError(f"{path} is damaged: {error}") from error
