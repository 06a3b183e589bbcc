"""What `femtotui bench` measured, as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich.table import Table
from rich.text import Text

from ..text.formats import memory, milliseconds, rate
from ..text.safe import one_line
from .step_timer import Measurement

_Column = tuple[str, Literal["left", "right"]]
_COLUMNS: tuple[_Column, ...] = (
    ("#", "right"),
    ("L/d/H/T/V", "left"),
    ("ms a step\nleast", "right"),
    ("tokens", "right"),
    ("GFLOP/s\nof SGEMM", "right"),
    ("peak RAM", "right"),
    ("threads\n× chunk", "right"),
)


def bench_table(measurements: Sequence[Measurement]) -> Table:
    """A row a preset; what all of them share stands below."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0), caption_justify="left")
    for header, justify in _COLUMNS:
        table.add_column(header, justify=justify, no_wrap=True)
    for measurement in measurements:
        table.add_row(*_cells(measurement))
    table.caption = Text(_caption(measurements))
    return table


def _cells(measurement: Measurement) -> list[Text]:
    sizes = "/".join(
        str(measurement.config[name]) for name in ("layers", "width", "heads", "context", "vocab")
    )
    return [
        Text(one_line(measurement.preset)),
        Text(sizes),
        Text(f"{milliseconds(measurement.ms_median)}\n{milliseconds(measurement.ms_min)}"),
        Text(rate(measurement.tokens_per_s)),
        Text(f"{measurement.gflops:,.0f}\n{measurement.gemm_share:.0%}"),
        Text(memory(measurement.peak_rss_mib)),
        Text(f"{measurement.threads} × {measurement.chunk}"),
    ]


def _caption(measurements: Sequence[Measurement]) -> str:
    first = measurements[0]
    least, most = (pick(m.sgemm_gflops for m in measurements) for pick in (min, max))
    sgemm = f"{least:,.0f}" if round(least) == round(most) else f"{least:,.0f} to {most:,.0f}"
    return (
        f"recipe {one_line(first.recipe)}, {first.optimizer}, batch {first.config['batch']}, "
        f"median of {first.steps} steps; kernel {first.blas_kernel}, SGEMM {sgemm} GFLOP/s"
    )
