"""`femtotui doctor`: check the machine, BLAS, folders and terminal that femtotui runs with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
import psutil
from msgspec.structs import replace

from femtotui.core.errors import FemtoError
from femtotui.core.files import os_error_words

from ..blas.kernel import (
    AUTO,
    LEAST_GAIN,
    SWITCH,
    VARIABLE,
    ProbeError,
    faster,
    kernel_choice,
    measured_choice,
    run_probe,
    user_variable,
    with_kernel,
)
from ..blas.probe import Probe
from ..installation import CACHE_VARIABLE, RUNS_VARIABLE, cache_folder, runs_folder
from ..text.formats import UNKNOWN, memory
from .options import CliCommand, json_option
from .output import print_json, print_rich, styled, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    Measure = Callable[..., Probe]
    """Takes an environment, and `together` to use all cores at once too. Raises: ProbeError."""

EXIT_BROKEN = 1
USUAL_BATCH = 32
LEAST_FREE_MIB = 512
LEAST_GAIN_OF_CORES = 1.3
"""All cores together are at least this many times as fast as one, if nothing else uses them."""

_PACKAGES = ("femtotui", "numpy", "textual", "rich", "safetensors", "tokenizers")
_LIBRARIES = {"openblas": "OpenBLAS", "mkl": "MKL", "blis": "BLIS", "flexiblas": "FlexiBLAS"}
_MIB = 1024 * 1024


@click.command(cls=CliCommand, examples={"doctor": "what this machine trains with, and what would help"})
@json_option
def doctor(as_json: bool) -> int:
    """Check this machine: its speed, what femtotui needs, and what is wrong with it."""
    report = examine()
    if as_json:
        print_json(report)
    else:
        print_rich(*report_table(report))
    return EXIT_BROKEN if report.broken else 0


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The processor, its usable cores, and the threads that a batch of 32 would get."""

    processor: str
    cores: int
    training_threads: int


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Units: MiB."""

    total_mib: int
    free_mib: int


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder and its free space; `problem` says why it cannot be written, "" if it can.

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


class BlasReport(msgspec.Struct, frozen=True, kw_only=True):
    """The BLAS that training uses.

    `asked` is the value of `OPENBLAS_CORETYPE` it runs with, "" for none, and `reason` why; `best` is the
    value that measuring finds best. `now` was measured as training runs; `otherwise` without what the user
    set, or else without what we chose. `problem` says what is broken, `advice` what makes it slow.
    """

    asked: str
    reason: str
    best: str
    now: Probe | None = None
    otherwise: Probe | None = None
    problem: str = ""
    advice: str = ""


class DoctorReport(msgspec.Struct, frozen=True, kw_only=True):
    """All findings. Without a repair of what is `broken` femtotui does not work; `advice` is optional.

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
    """Look at everything; takes a few seconds, most of it to measure matrix products."""
    blas = examine_blas(cache_folder(), os.environ)
    machine, english_cached = None, None
    if not blas.problem:
        # NumPy is imported into this process only now, with a kernel that has just been tried.
        os.environ.update(with_kernel(os.environ, blas.best))
        machine, english_cached = _machine()
    try:
        runs = examine_folder(runs_folder())
    except FemtoError as error:
        runs = Folder(path=os.environ.get(RUNS_VARIABLE, ""), problem=str(error))
    cache, terminal, ram = examine_folder(cache_folder()), _terminal(), psutil.virtual_memory()
    broken = [blas.problem] if blas.problem else []
    if runs.problem:
        broken.append(f"cannot write to {runs.path}: {runs.problem} ({RUNS_VARIABLE} names another folder)")
    return DoctorReport(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        versions={name: _version(name) for name in _PACKAGES},
        blas=blas,
        machine=machine,
        memory=Memory(total_mib=ram.total // _MIB, free_mib=ram.available // _MIB),
        runs=runs,
        cache=cache,
        terminal=terminal,
        english_cached=english_cached,
        advice=tuple(_advice(blas, runs, cache, terminal)),
        broken=tuple(broken),
    )


def _advice(blas: BlasReport, runs: Folder, cache: Folder, terminal: Terminal) -> list[str]:
    advice = [blas.advice] if blas.advice else []
    now = blas.now
    if now is not None and now.threads > 1 and now.gflops_together < LEAST_GAIN_OF_CORES * now.gflops:
        advice.append(
            f"{now.threads} cores together reach {now.gflops_together:,.0f} GFLOP/s, one alone "
            f"{now.gflops:,.0f}: something else uses them, or they may not be used in full; "
            "close other programs, and measure again"
        )
    if cache.problem:
        advice.append(
            f"cannot write to {cache.path}: {cache.problem} ({CACHE_VARIABLE} names another folder); "
            "every start measures again which kernel is best"
        )
    if not runs.problem and runs.free_mib < LEAST_FREE_MIB:
        advice.append(f"only {runs.free_mib:,} MiB are free for runs: make some space")
    return advice + (terminal_advice(terminal) if terminal.is_terminal else [])


def terminal_advice(terminal: Terminal) -> list[str]:
    """Advice for a terminal in which the app would not look right."""
    from ..widgets.dialogs import LEAST_HEIGHT, LEAST_WIDTH  # noqa: PLC0415  (loads Textual)

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


def _machine() -> tuple[Machine, bool]:
    """The processor, and whether the English text is downloaded."""
    from femtotui.core.machine import describe_machine  # noqa: PLC0415  (loads NumPy)
    from femtotui.core.training.workers import choose_threads, usable_cores  # noqa: PLC0415
    from femtotui.presets.sources import english_is_cached  # noqa: PLC0415

    threads = choose_threads(USUAL_BATCH)
    machine = Machine(processor=describe_machine(), cores=usable_cores(), training_threads=threads)
    return machine, english_is_cached()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def examine_folder(path: Path) -> Folder:
    """Try to write, without making a folder: where there is none yet, the nearest one above is tried."""
    existing = next((parent for parent in (path, *path.parents) if os.path.lexists(parent)), Path())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"femtotui")
        return Folder(path=str(path), problem="", free_mib=shutil.disk_usage(existing).free // _MIB)
    except (OSError, ValueError) as error:
        return Folder(path=str(path), problem=os_error_words(error))


def _terminal() -> Terminal:
    from rich.console import Console  # noqa: PLC0415

    # Where standard output goes into a file or a pipe, standard error may still lead to the terminal.
    stream = next((stream for stream in (sys.stdout, sys.stderr) if stream.isatty()), sys.stdout)
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


def examine_blas(cache: Path, environment: Mapping[str, str], measure: Measure = run_probe) -> BlasReport:
    """Measure anew, and remember the best kernel, whatever was remembered. Never raises."""
    best = measured_choice(cache, environment, measure)
    variable = user_variable(environment)
    choice = kernel_choice(cache, environment, measure) if variable else best
    report = BlasReport(asked=choice.kernel, reason=choice.reason, best=best.kernel)
    ours = with_kernel(environment, choice.kernel)
    others = with_kernel(environment, best.kernel if variable else "")
    try:
        now, otherwise = measure(ours, together=True), None
    except ProbeError as error:
        problem = f"matrix products fail here: {error}"
        if variable:
            problem += f" ({variable}={choice.kernel} is set: try without it)"
        return replace(report, problem=problem)
    if best.default is not None and (variable or best.kernel):
        with suppress(ProbeError):  # in turn, the better of two each: a busy moment does not decide
            other = measure(others, together=True)
            now = faster(now, measure(ours, together=True))
            otherwise = faster(other, measure(others, together=True))
    advice = _blas_advice(variable, choice.kernel, now, otherwise)
    return replace(report, now=now, otherwise=otherwise, advice=advice)


def _blas_advice(variable: str, kernel: str, now: Probe, otherwise: Probe | None) -> str:
    """Advice against a choice of the user that costs speed, or ""."""
    if not variable or otherwise is None or otherwise.gflops < LEAST_GAIN * now.gflops:
        return ""
    ours = variable != VARIABLE
    ignored = f"set it to {AUTO}" if ours else f"set {SWITCH}={AUTO} to have femtotui ignore it"
    return (
        f"{variable}={kernel} is set in your environment: matrix products would be "
        f"{otherwise.gflops / now.gflops:.1f} times as fast without it. Unset it, or {ignored}"
    )


def report_table(report: DoctorReport) -> list[RenderableType]:
    """A line for each finding; below them what is broken and what could be better."""
    made = table(("", ""), _rows(report), fold=True)
    made.show_header = False
    made.columns[0].style, made.columns[0].no_wrap = "bold", True
    lines = [styled(f"broken: {message}", "bold red") for message in report.broken]
    lines += [styled(f"advice: {message}", "yellow") for message in report.advice]
    return [made, "", *(lines or [styled("No problems found.", "green")])]


def _rows(report: DoctorReport) -> list[tuple[str, str]]:
    versions, terminal = report.versions, report.terminal
    machine, free = report.machine, report.memory
    size, colours = f"{terminal.width} × {terminal.height}", f"colours: {terminal.colours}"
    words = f"{terminal.term or 'unknown'}, {size}, {colours}, {terminal.encoding}"
    threads, english = UNKNOWN, UNKNOWN
    if machine is not None:
        count = machine.training_threads
        threads = f"{count} thread{'' if count == 1 else 's'} for a batch of {USUAL_BATCH}"
        missing = "not downloaded (`femtotui data english` gets it)"
        english = "downloaded" if report.english_cached else missing
    return [
        ("femtotui", versions["femtotui"]),
        ("Python", f"{report.python}, {report.system}"),
        ("Textual", f"{versions['textual']}, Rich {versions['rich']}"),
        ("processor", machine.processor if machine else UNKNOWN),
        ("training", threads),
        ("memory", f"{memory(free.total_mib)}, {memory(free.free_mib)} free"),
        *_blas_rows(report.blas, versions["numpy"]),
        ("runs", _folder(report.runs)),
        ("cache", _folder(report.cache)),
        ("English text", english),
        ("terminal", words if terminal.is_terminal else "none: output goes to a file or a pipe"),
    ]


def _blas_rows(blas: BlasReport, numpy: str) -> list[tuple[str, str]]:
    now, other, own = blas.now, blas.otherwise, "the library's own"
    if now is None:
        return [("NumPy", f"{numpy}, {UNKNOWN}"), ("kernel", f"{blas.asked or own} ({blas.reason})")]
    name = _LIBRARIES.get(now.library, now.library) or "a BLAS library that threadpoolctl does not know"
    library = f"{name} {'.'.join(now.version.split('.')[:3])}".strip()
    kernel = f"{now.kernel or own} ({blas.reason})"
    rows = [("NumPy", f"{numpy}, {library}"), ("kernel", kernel), ("speed", _speed(now))]
    if other and other.kernel != now.kernel:
        rows.append((f"with {other.kernel}", _speed(other)))
    return rows


def _speed(probe: Probe) -> str:
    one = f"{probe.gflops:,.0f} GFLOP/s on one core"
    return f"{one}, {probe.gflops_together:,.0f} on {probe.threads}" if probe.threads > 1 else one


def _folder(folder: Folder) -> str:
    room = folder.problem or f"can be written, {memory(folder.free_mib)} free"
    return f"{folder.path} ({room})"
