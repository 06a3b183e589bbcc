"""A run folder on its way home: one zip in memory, unpacked only into a run folder's own files."""

from __future__ import annotations

import io
import re
import secrets
import shutil
import zipfile
from pathlib import Path

from femtotui.core.files import os_error_words
from femtotui.core.run_info import read_info

from .errors import SweepError

_FILES = re.compile(
    r"(run|tokenizer|progress)\.json|(metrics|evals)\.csv|(samples|scores)\.jsonl|(entry|note)\.md"
    r"|trainer\.log|checkpoints/step-\d{1,15}\.safetensors"
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,120}")
_MAX_BYTES = 8 * 2**30


def pack_run(folder: Path) -> bytes:
    """All files of a run. Raises: OSError."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if _FILES.fullmatch(name):
                archive.write(path, name)
    return buffer.getvalue()


def unpack_run(data: bytes, runs: Path, name: str) -> Path:
    """The run, whole, as `runs`/`name` (or with a suffix, if that is taken).

    Raises: SweepError for what is no run folder, or cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise SweepError(f"a run of the name {name[:80]!r} cannot be kept")
    arriving = runs / f".{secrets.token_hex(6)}.arriving"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _require_run_files(archive)
            (arriving / "checkpoints").mkdir(parents=True)
            archive.extractall(arriving)
        read_info(arriving)
        home = runs / name
        if home.exists():
            home = runs / f"{name}-{secrets.token_hex(2)}"
        return arriving.rename(home)
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise SweepError(f"what came home of {name} is no run folder: {error}") from error
    except OSError as error:
        raise SweepError(f"cannot keep {name} in {runs}: {os_error_words(error)}") from error
    finally:
        shutil.rmtree(arriving, ignore_errors=True)


def _require_run_files(archive: zipfile.ZipFile) -> None:
    for info in archive.infolist():
        if not _FILES.fullmatch(info.filename):
            raise ValueError(f"it holds {info.filename[:80]!r}")
    if sum(info.file_size for info in archive.infolist()) > _MAX_BYTES:
        raise ValueError("it is too large")
