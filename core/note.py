"""note.md: what a person wants to remember of a run. Programs keep it; only people write it."""

from __future__ import annotations

from pathlib import Path

from .errors import RunError
from .files import os_error_words, read_limited, write_atomically

NOTE_NAME = "note.md"
MAX_NOTE_BYTES = 1024 * 1024


def read_note(folder: Path) -> str:
    """The note of the run in `folder`, empty if there is none.

    Raises: RunError if it cannot be read, or is longer than a note can be.
    """
    path = folder / NOTE_NAME
    try:
        return read_limited(path, MAX_NOTE_BYTES).decode(errors="replace").strip()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        words = os_error_words(error) if isinstance(error, OSError) else str(error)
        raise RunError(f"cannot read {path}: {words}") from error


def write_note(folder: Path, note: str) -> None:
    """Replaces the note in one move. Raises: RunError."""
    path = folder / NOTE_NAME
    data = f"{note.strip()}\n".encode(errors="replace")
    if len(data) > MAX_NOTE_BYTES:
        raise RunError(f"a note has at most {MAX_NOTE_BYTES:,} bytes, this one {len(data):,}")
    try:
        write_atomically(path, data)
    except OSError as error:
        raise RunError(f"cannot write {path}: {os_error_words(error)}") from error
