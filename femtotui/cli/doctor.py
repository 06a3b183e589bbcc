"""`femtotui doctor`: what femtotui finds on this machine, measured and tried, nothing guessed."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TextIO

import msgspec

from femtotui.core.errors import FemtoError
from femtotui.core.files import os_error_words

from ..blas.kernel import with_kernel
from ..paths import CACHE_VARIABLE, RUNS_VARIABLE, cache_folder, runs_folder
from .doctor_blas import BlasReport, examine_blas

USUAL_BATCH = 32
LEAST_FREE_MIB = 512

_PACKAGES = ("femtotui", "numpy", "textual", "rich", "safetensors", "tokenizers")
_MIB = 1024 * 1024


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The processor, the cores of it that may be used, and the threads that a batch of 32 would get."""

    processor: str
    cores: int
    training_threads: int


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Units: MiB."""

    total_mib: int
    free_mib: int


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder to write to, and the room there is; `problem` says why it cannot be written, "" if it can.

    Units: MiB.
    """

    path: str
    problem: str
    free_mib: int = 0


class Terminal(msgspec.Struct, frozen=True, kw_only=True):
    """Where the app would be shown. `colours` as Rich names them: truecolor, 256, standard, windows, none."""

    is_terminal: bool
    term: str
    colours: str
    width: int
    height: int
    encoding: str
    unicode: bool


class DoctorReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found. What is `broken` must be mended for femtotui to work; `advice` would do it good.

    `machine` and `english_cached` are None where NumPy does not work.
    """

    python: str
    system: str
    versions: dict[str, str]
    blas: BlasReport
    machine: Machine | None
    memory: Memory
    runs: Folder
    cache: Folder
    terminal: Terminal
    english_cached: bool | None
    advice: tuple[str, ...]
    broken: tuple[str, ...]


def examine() -> DoctorReport:
    """Looks at everything; takes a few seconds, most of it to measure matrix products."""
    blas = examine_blas(cache_folder(), os.environ)
    machine, english_cached = None, None
    if not blas.problem:
        # NumPy comes into this process only now, with a kernel that has just proved to work.
        os.environ.update(with_kernel(os.environ, blas.best))
        machine, english_cached = _machine(), _english_is_cached()
    runs, cache, terminal = _runs_folder(), examine_folder(cache_folder()), _terminal()
    return DoctorReport(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        versions={name: _version(name) for name in _PACKAGES},
        blas=blas,
        machine=machine,
        memory=_memory(),
        runs=runs,
        cache=cache,
        terminal=terminal,
        english_cached=english_cached,
        advice=tuple(_advice(blas, runs, cache, terminal)),
        broken=tuple(_broken(blas, runs)),
    )


def _broken(blas: BlasReport, runs: Folder) -> list[str]:
    broken = [blas.problem] if blas.problem else []
    if runs.problem:
        broken.append(
            f"runs cannot be kept in {runs.path}: {runs.problem} ({RUNS_VARIABLE} names another folder)"
        )
    return broken


def _advice(blas: BlasReport, runs: Folder, cache: Folder, terminal: Terminal) -> list[str]:
    advice = [blas.advice] if blas.advice else []
    if cache.problem:
        advice.append(
            f"nothing can be kept in {cache.path}: {cache.problem} ({CACHE_VARIABLE} names another folder); "
            "every start measures again which kernel is best"
        )
    if not runs.problem and runs.free_mib < LEAST_FREE_MIB:
        advice.append(f"only {runs.free_mib:,} MiB are left where runs are kept: free some space")
    return advice + (terminal_advice(terminal) if terminal.is_terminal else [])


def terminal_advice(terminal: Terminal) -> list[str]:
    from ..widgets.dialogs import LEAST_HEIGHT, LEAST_WIDTH  # noqa: PLC0415  (brings Textual)

    advice = []
    if terminal.width < LEAST_WIDTH or terminal.height < LEAST_HEIGHT:
        advice.append(
            f"the terminal has {terminal.width} × {terminal.height} characters: "
            f"the app needs {LEAST_WIDTH} × {LEAST_HEIGHT}"
        )
    if not terminal.unicode:
        advice.append(f"the terminal's encoding is {terminal.encoding}: the app draws with UTF-8")
    if terminal.colours not in ("256", "truecolor"):
        advice.append(
            "the terminal shows few colours or none: tokens are told apart by colour; "
            "set COLORTERM=truecolor if it can do more"
        )
    return advice


def _machine() -> Machine:
    from femtotui.core.machine import describe_machine  # noqa: PLC0415  (loads NumPy)
    from femtotui.core.training.workers import choose_threads, usable_cores  # noqa: PLC0415

    return Machine(
        processor=describe_machine(),
        cores=usable_cores(),
        training_threads=choose_threads(USUAL_BATCH),
    )


def _english_is_cached() -> bool:
    from femtotui.presets.sources import english_is_cached  # noqa: PLC0415  (loads NumPy)

    return english_is_cached()


def _memory() -> Memory:
    import psutil  # noqa: PLC0415

    memory = psutil.virtual_memory()
    return Memory(total_mib=memory.total // _MIB, free_mib=memory.available // _MIB)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _runs_folder() -> Folder:
    try:
        return examine_folder(runs_folder())
    except FemtoError as error:
        return Folder(path=os.environ.get(RUNS_VARIABLE, ""), problem=str(error))


def examine_folder(path: Path) -> Folder:
    """Tries to write, but makes no folder: where there is none yet, it tries the nearest one above."""
    existing = next((parent for parent in (path, *path.parents) if os.path.lexists(parent)), Path())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"femtotui")
        return Folder(path=str(path), problem="", free_mib=shutil.disk_usage(existing).free // _MIB)
    except (OSError, ValueError) as error:
        words = os_error_words(error) if isinstance(error, OSError) else str(error)
        return Folder(path=str(path), problem=words)


def _terminal() -> Terminal:
    from rich.console import Console  # noqa: PLC0415

    stream = _terminal_stream()
    console = Console(file=stream)
    encoding = stream.encoding or "unknown"
    return Terminal(
        is_terminal=stream.isatty(),
        term=os.environ.get("TERM", ""),
        colours="none" if console.no_color else console.color_system or "none",
        width=console.width,
        height=console.height,
        encoding=encoding,
        unicode=encoding.lower().replace("-", "").startswith("utf"),
    )


def _terminal_stream() -> TextIO:
    """Standard output, or where that goes into a file or a pipe, what else leads to the terminal."""
    return next((stream for stream in (sys.stdout, sys.stderr) if stream.isatty()), sys.stdout)
