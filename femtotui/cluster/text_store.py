"""Texts that came to this worker, one file each, named by the hash of what is in it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Lock

from femtotui.core.files import os_error_words, write_atomically

from .errors import ClusterError

_writing = Lock()  # runs of one process, each on a thread, begin with the same text at the same moment


def keep_text(text: bytes, folder: Path) -> Path:
    """The file with `text`; written if it is not there yet, or has changed. Raises: ClusterError."""
    path = folder / f"{hashlib.sha256(text).hexdigest()}.text"
    try:
        with _writing:
            if not (path.exists() and path.read_bytes() == text):
                folder.mkdir(parents=True, exist_ok=True)
                write_atomically(path, text)
    except OSError as error:
        raise ClusterError(f"cannot keep the text in {folder}: {os_error_words(error)}") from error
    return path
