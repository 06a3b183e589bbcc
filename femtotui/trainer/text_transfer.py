"""Transfer of a run's text to another process or host, as a MessagePack of its bytes and their hash.

Synthetic text is not sent: it is a pure function of the settings, and endless.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from femtotui.core.config import DataConfig
from femtotui.core.errors import DataError
from femtotui.core.files import reraise_os_errors
from femtotui.core.training.batches import Source
from femtotui.presets.sources import open_source

_SYNTHETIC = ("simple_dummy", "addition_dummy")


class TextTransfer(msgspec.Struct, frozen=True):
    """A source's text; `train` and `validation` are None where they can be generated again."""

    name: str
    sha256: str
    train: bytes | None
    validation: bytes | None
    notes: tuple[str, ...]
    command: str


def pack_text(source: Source, data: DataConfig) -> TextTransfer:
    """The parts of `source` that are needed elsewhere."""
    train, validation = (None, None) if data.source in _SYNTHETIC else (source.train, source.validation)
    return TextTransfer(source.name, source.sha256, train, validation, source.notes, source.command)


def unpack_text(packed: TextTransfer, data: DataConfig, seed: int) -> Source:
    """The source that was packed. Raises: DataError if it is not the same text."""
    if packed.train is None or packed.validation is None:
        source = open_source(data, seed)
    else:
        source = Source(packed.name, packed.train, packed.validation, packed.notes, packed.command)
    if source.sha256 != packed.sha256:
        raise DataError(
            f"{packed.name} is another text here than where the run was started: use the same femtotui on "
            "all hosts"
        )
    return source


def read_text(path: Path, data: DataConfig, seed: int) -> Source:
    """The source that was packed into a file. Raises: DataError."""
    with reraise_os_errors(DataError, f"read the text in {path}"):
        packed = msgspec.msgpack.decode(path.read_bytes(), type=TextTransfer)
    return unpack_text(packed, data, seed)
