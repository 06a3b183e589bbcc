"""An order carried out, on whichever machine."""

from __future__ import annotations

import hashlib
import io
import re
import secrets
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from femtotui.core.errors import FemtoError
from femtotui.core.files import os_error_words, write_atomically
from femtotui.core.run_folder.info import CHECKPOINT_NAME, RunFile, read_info

from ..paths import cache_folder
from .attempt import Attempt
from .messages import Order, Outcome, Reply, SweepReport
from .spec import ClusterError, SweepError


def carry_out(
    order: Order,
    text: bytes,
    worker: str,
    report: Callable[[SweepReport], None],
    is_asked_to_stop: Callable[[], bool],
) -> Reply:
    """Trains an order to its end; raises nothing: whoever waits for the reply would get none."""
    try:
        attempt = Attempt(
            order, _scratch() / order.sweep / str(order.index), worker, report, is_asked_to_stop
        )
        outcome, folder = attempt.run(keep_text(text, _scratch() / "texts"))
        return Reply(outcome=outcome, archive=pack_run(folder) if folder else b"")
    except FemtoError as error:
        reason = f"{error.title}: {error}"
    except OSError as error:
        reason = f"on its worker: {os_error_words(error)}"
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    return Reply(outcome=Outcome(index=order.index, state="failed", worker=worker, reason=reason))


def discard(sweep: str) -> None:
    """Clears away what a sweep that is home has left on this machine's disk."""
    shutil.rmtree(_scratch() / sweep, ignore_errors=True)


def _scratch() -> Path:
    return cache_folder() / "sweeps"


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


_STAYING = {RunFile.TITLE, RunFile.LOCK, RunFile.TRAINER_ADDRESS, RunFile.TRAINER_SOCKET, RunFile.CHECKPOINTS}
_FILES = re.compile(
    "|".join(re.escape(name) for name in RunFile if name not in _STAYING)
    + f"|{RunFile.CHECKPOINTS}/{CHECKPOINT_NAME.pattern}"
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
            (arriving / RunFile.CHECKPOINTS).mkdir(parents=True)
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
