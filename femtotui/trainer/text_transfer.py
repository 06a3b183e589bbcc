"""A run's text on its way to another process or host: its bytes, and the hash that must come out there.

Synthetic text is not sent: it is a pure function of the settings, and goes on for ever.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from femtotui.core.config import DataConfig
from femtotui.core.errors import DataError
from femtotui.core.files import os_error_words
from femtotui.core.training.batches import Source
from femtotui.presets.sources import open_source

_SYNTHETIC = ("simple_dummy", "addition_dummy")


class TextParcel(msgspec.Struct, frozen=True, kw_only=True):
    """A source's text; `train` and `validation` are None where they can be made anew."""

    name: str
    sha256: str
    train: bytes | None
    validation: bytes | None
    notes: tuple[str, ...]
    command: str


def pack_text(source: Source, data: DataConfig) -> TextParcel:
    """What has to travel for `source` to be had elsewhere."""
    travels = data.source not in _SYNTHETIC
    return TextParcel(
        name=source.name,
        sha256=source.sha256,
        train=source.train if travels else None,
        validation=source.validation if travels else None,
        notes=source.notes,
        command=source.command,
    )


def unpack_text(parcel: TextParcel, data: DataConfig, seed: int) -> Source:
    """The source that was packed. Raises: DataError if it is not the same text."""
    if parcel.train is None or parcel.validation is None:
        source = open_source(data, seed)
    else:
        source = Source(
            name=parcel.name,
            train=parcel.train,
            validation=parcel.validation,
            notes=parcel.notes,
            command=parcel.command,
        )
    if source.sha256 != parcel.sha256:
        raise DataError(
            f"{parcel.name} is another text here than where the run was started: use the same femtotui on "
            "all hosts"
        )
    return source


def encode_text(parcel: TextParcel) -> bytes:
    """The parcel as it is sent, and as it lies in a file."""
    return msgspec.msgpack.encode(parcel)


def read_text(path: Path, data: DataConfig, seed: int) -> Source:
    """The source that was packed into a file. Raises: DataError."""
    try:
        parcel = msgspec.msgpack.decode(path.read_bytes(), type=TextParcel)
    except OSError as error:
        raise DataError(f"cannot read the text in {path}: {os_error_words(error)}") from error
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise DataError(f"{path} holds no text that was packed for femtotui: {error}") from error
    return unpack_text(parcel, data, seed)
