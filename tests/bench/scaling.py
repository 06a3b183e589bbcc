"""Milliseconds a step against each dimension of a model, with the exponents between neighbours.

    python tests/bench/scaling.py --out docs/scaling.svg

Everything else stays at the base: 4 layers, width 64, heads of 16, context 64, batch 32, vocabulary 256.
Beside each measured exponent stands the one that the arithmetic alone would have.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from scaling_chart import Series, chart, exponents

from femtotui.blas.kernel import prepare_blas

BASE = {"layers": 4, "width": 64, "context": 64, "batch": 32, "vocab": 256}
VALUES = {
    "width": (32, 64, 128, 256, 512),
    "layers": (1, 2, 4, 8, 16),
    "context": (32, 64, 128, 256, 512, 1024),
    "batch": (1, 4, 16, 32, 64, 128, 256, 512),
    "vocab": (64, 256, 1024, 4096, 8192),
}


def _lines(series: Series) -> list[str]:
    values = [point.value for point in series.points]
    measured = exponents(values, [point.ms for point in series.points])
    expected = exponents(values, [point.gflop for point in series.points])
    grown = [f"{m:8.2f} {e:10.2f}" for m, e in zip(measured, expected, strict=True)]
    return [
        f"{series.name:<8} {point.value:6,} {point.ms:10.2f} {point.gflop / point.ms * 1e3:8.0f}   {growth}"
        for point, growth in zip(series.points, ["", *grown], strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--only", nargs="+", choices=VALUES, default=list(VALUES), metavar="DIMENSION")
    parser.add_argument("--seconds", type=float, default=2.0, help="of steps a point, at least five steps")
    parser.add_argument("--out", type=Path, help="write a chart there (SVG)")
    parser.add_argument("--json", action="store_true", help="one JSON object a dimension")
    arguments = parser.parse_args()
    prepare_blas()
    from scaling_points import measure_series  # noqa: PLC0415  (loads NumPy)

    if not arguments.json:
        print("dimension value  ms a step  GFLOP/s   exponent  arithmetic", flush=True)
    all_series = []
    for name in arguments.only:
        series = measure_series(name, VALUES[name], BASE, arguments.seconds)
        all_series.append(series)
        print(json.dumps(asdict(series)) if arguments.json else "\n".join(_lines(series)), flush=True)
    if arguments.out:
        from femtotui.core.machine import blas_description, describe_machine  # noqa: PLC0415

        base = ", ".join(f"{name} {value}" for name, value in BASE.items())
        title = f"Base: {base}. {describe_machine()}, {blas_description()}"
        arguments.out.write_text(chart(all_series, title), encoding="utf-8")


if __name__ == "__main__":
    main()
