"""The format number that every file of a run carries, looked at before anything else in the file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from .errors import FemtoError


class _AnyFormat(msgspec.Struct):
    format: int = 1


def refuse_newer(text: bytes | str, known: int, what: Path | str, refusal: type[FemtoError]) -> None:
    """Refuses a file of a later femtotui; one that says no format is of the first.

    Raises: `refusal`; ValueError or RecursionError for what is no JSON object.
    """
    found = msgspec.json.decode(text, type=_AnyFormat).format
    if found > known:
        raise refusal(f"{what} was written by a newer femtotui (format {found}): update femtotui to open it")
