"""The doctor's report as a table for people."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..blas.probe import Probe
from ..text.formats import UNKNOWN, memory
from ..text.safe import one_line
from .doctor import DoctorReport, Folder

_LIBRARIES = {"openblas": "OpenBLAS", "mkl": "MKL", "blis": "BLIS", "flexiblas": "FlexiBLAS"}


def doctor_table(report: DoctorReport) -> Group:
    """What was found, a line each; below it what is broken and what could be better."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(report):
        table.add_row(name, Text(one_line(value)))
    return Group(table, Text(), *_verdict(report))


def _rows(report: DoctorReport) -> list[tuple[str, str]]:
    versions, terminal = report.versions, report.terminal
    size = f"{terminal.width} × {terminal.height}"
    return [
        ("femtotui", versions["femtotui"]),
        ("Python", f"{report.python}, {report.system}"),
        ("Textual", f"{versions['textual']}, Rich {versions['rich']}"),
        *_machine_rows(report),
        *_blas_rows(report),
        ("runs", _folder(report.runs)),
        ("cache", _folder(report.cache)),
        ("English text", _english(report.english_cached)),
        (
            "terminal",
            f"{terminal.term or 'unknown'}, {size}, colours: {terminal.colours}, {terminal.encoding}"
            if terminal.is_terminal
            else "none: output goes to a file or a pipe",
        ),
    ]


def _machine_rows(report: DoctorReport) -> list[tuple[str, str]]:
    machine, free = report.machine, report.memory
    return [
        ("processor", machine.processor if machine else UNKNOWN),
        ("training", f"{_threads(machine.training_threads)} for a batch of 32" if machine else UNKNOWN),
        ("memory", f"{memory(free.total_mib)}, {memory(free.free_mib)} free"),
    ]


def _blas_rows(report: DoctorReport) -> list[tuple[str, str]]:
    blas, numpy = report.blas, report.versions["numpy"]
    rows = [("NumPy", f"{numpy}, {_library(blas.now)}"), ("kernel", _kernel(report))]
    if blas.now:
        rows.append(("speed", _speed(blas.now)))
    if blas.now and blas.otherwise and blas.otherwise.kernel != blas.now.kernel:
        rows.append((f"with {blas.otherwise.kernel}", _speed(blas.otherwise)))
    return rows


def _library(probe: Probe | None) -> str:
    if probe is None:
        return UNKNOWN
    name = _LIBRARIES.get(probe.library, probe.library) or "a BLAS library that threadpoolctl does not know"
    return f"{name} {'.'.join(probe.version.split('.')[:3])}".strip()


def _kernel(report: DoctorReport) -> str:
    blas = report.blas
    kernel = (blas.now.kernel if blas.now else blas.asked) or "the library's own"
    return f"{kernel} ({blas.reason})"


def _speed(probe: Probe) -> str:
    """Rates of matrix products as words."""
    one = f"{probe.gflops:,.0f} GFLOP/s on one core"
    return f"{one}, {probe.gflops_together:,.0f} on {probe.threads}" if probe.threads > 1 else one


def _threads(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"


def _folder(folder: Folder) -> str:
    room = folder.problem or f"can be written, {memory(folder.free_mib)} free"
    return f"{folder.path} ({room})"


def _english(cached: bool | None) -> str:
    if cached is None:
        return UNKNOWN
    return "downloaded" if cached else "not downloaded (`femtotui data english` gets it)"


def _verdict(report: DoctorReport) -> list[Text]:
    lines = [Text(f"broken: {one_line(words)}", "bold red") for words in report.broken]
    lines += [Text(f"advice: {one_line(words)}", "yellow") for words in report.advice]
    return lines or [Text("All is well.", "green")]
