"""The doctor's look at matrix products: what they run on, why, and how fast beside the alternative."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

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


class Measure(Protocol):
    """Measures under an environment; `together`: also with all cores at once. Raises: ProbeError."""

    def __call__(self, environment: Mapping[str, str], *, together: bool = False) -> Probe: ...


class BlasReport(msgspec.Struct, frozen=True, kw_only=True):
    """What training multiplies matrices with.

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


def examine_blas(cache: Path, environment: Mapping[str, str], measure: Measure = run_probe) -> BlasReport:
    """Measures anew, and remembers what is best, whatever was remembered. Never raises."""
    best = measured_choice(cache, environment, measure)
    variable = user_variable(environment)
    choice = kernel_choice(cache, environment, measure) if variable else best
    ours, others = (
        with_kernel(environment, kernel) for kernel in (choice.kernel, best.kernel if variable else "")
    )
    try:
        now = measure(ours, together=True)
    except ProbeError as error:
        problem = f"matrix products fail here: {error}"
        if variable:
            problem += f" ({variable}={choice.kernel} is set: try without it)"
        return BlasReport(asked=choice.kernel, reason=choice.reason, best=best.kernel, problem=problem)
    otherwise = None
    if best.default is not None and (variable or best.kernel):
        now, otherwise = _in_turn(measure, ours, others, now)
    return BlasReport(
        asked=choice.kernel,
        reason=choice.reason,
        best=best.kernel,
        now=now,
        otherwise=otherwise,
        advice=_advice(variable, choice.kernel, now, otherwise),
    )


def _in_turn(
    measure: Measure, ours: Mapping[str, str], others: Mapping[str, str], now: Probe
) -> tuple[Probe, Probe | None]:
    """Both ways, each the better of two measurements: so that a busy moment does not decide."""
    try:
        otherwise = measure(others, together=True)
        now = faster(now, measure(ours, together=True))
        return now, faster(otherwise, measure(others, together=True))
    except ProbeError:
        return now, None


def _advice(variable: str, kernel: str, now: Probe, otherwise: Probe | None) -> str:
    """How to lift a choice of the user's that costs speed."""
    if not variable or otherwise is None or otherwise.gflops < LEAST_GAIN * now.gflops:
        return ""
    ignored = (
        f"set {SWITCH}={AUTO} to have femtotui ignore it" if variable == VARIABLE else f"set it to {AUTO}"
    )
    return (
        f"{variable}={kernel} is set in your environment: matrix products would be "
        f"{otherwise.gflops / now.gflops:.1f} times as fast without it. Unset it, or {ignored}"
    )
