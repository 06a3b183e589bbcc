"""Proof of a gradient: central differences in float64, compared with the analytic gradient array by array."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# A gradient smaller than this everywhere is compared as if it were this large: below it, the differences
# hold nothing but the rounding of the function.
SMALLEST_SCALE = 1e-5


def check_gradients(
    function: Callable[[], float],
    arrays: Mapping[str, Array],
    gradients: Mapping[str, NDArray[Any]],
    *,
    tolerance: float = 1e-6,
    step: float = 1e-3,
) -> dict[str, float]:
    """Check that `gradients` are the derivatives of `function` with respect to every element of `arrays`.

    `function` takes nothing and reads the arrays themselves: they are changed in place, an element at a time,
    and put back bit for bit. Views of a flat vector are welcome.

    An array's error is its largest max|analytic - numeric|, relative to the larger of max|analytic| and
    max|numeric| over the array. `step` is relative to the array's own root mean square.

    Returns each array's error. Raises AssertionError that names the worst element of every array whose error
    is not below `tolerance`, and ValueError when the check itself would prove nothing.
    """
    _require_checkable(function, arrays, gradients)
    errors, complaints = {}, []
    for name, array in arrays.items():
        analytic = np.asarray(gradients[name], dtype=np.float64)
        numeric = numeric_gradient(function, array, step)
        if not numeric.any() and not analytic.any():
            raise ValueError(f"{name} does not move the function: a gradient of zeros proves nothing")
        error = relative_error(analytic, numeric)
        errors[name] = float(error.max())
        if not errors[name] < tolerance:  # so that NaN fails
            complaints.append(_worst(name, error, analytic, numeric, tolerance))
    if complaints:
        raise AssertionError("wrong gradient\n" + "\n".join(complaints))
    return errors


def numeric_gradient(function: Callable[[], float], array: Array, step: float = 1e-3) -> Array:
    """Central differences at two steps, combined so that the error falls with the fourth power of the step.

    Source: Richardson's extrapolation, (4 D(h/2) - D(h)) / 3, where D(h) is the central difference.
    """
    h = step * (float(np.sqrt(np.mean(array**2))) or 1.0)
    gradient = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        wide, narrow = (_central_difference(function, array, index, distance) for distance in (h, h / 2))
        gradient[index] = (4 * narrow - wide) / 3
    return gradient


def relative_error(analytic: Array, numeric: Array) -> Array:
    """Each element's difference, relative to the largest element of either gradient."""
    scale = max(np.abs(analytic).max(), np.abs(numeric).max(), SMALLEST_SCALE)
    error: Array = np.abs(analytic - numeric) / scale
    return error


def _central_difference(
    function: Callable[[], float], array: Array, index: tuple[int, ...], distance: float
) -> float:
    original = array[index]
    try:
        array[index] = above = original + distance
        value_above = function()
        array[index] = below = original - distance
        value_below = function()
    finally:
        array[index] = original
    return float((value_above - value_below) / (above - below))  # the distance as it was rounded


def _require_checkable(
    function: Callable[[], float], arrays: Mapping[str, Array], gradients: Mapping[str, NDArray[Any]]
) -> None:
    if not arrays or arrays.keys() != gradients.keys():
        raise ValueError(
            f"arrays {sorted(arrays)} and gradients {sorted(gradients)} must have the same names"
        )
    for name, array in arrays.items():
        if array.dtype != np.float64:
            raise ValueError(f"{name} is {array.dtype}; differences need float64")
        if not array.size:
            raise ValueError(f"{name} is empty")
        if array.shape != gradients[name].shape:
            raise ValueError(f"{name} is {array.shape} and its gradient {gradients[name].shape}")
    first, again = function(), function()
    if not np.isfinite(first):
        raise ValueError(f"the function is {first}")
    if first != again:
        raise ValueError(f"the function gave {first!r} and then {again!r} for the same arrays")


def _worst(name: str, error: Array, analytic: Array, numeric: Array, tolerance: float) -> str:
    index = np.unravel_index(int(np.argmax(np.where(np.isnan(error), np.inf, error))), error.shape)
    place = ", ".join(str(int(i)) for i in index)
    return (
        f"{name}[{place}]: analytic {analytic[index]:.10g}, numeric {numeric[index]:.10g}, "
        f"relative error {error[index]:.2g} (must be below {tolerance:g})"
    )
