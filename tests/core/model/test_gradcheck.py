"""The gradient check passes right gradients and fails wrong ones: else its verdicts are worth nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from gradcheck import Array, check_gradients, numeric_gradient


@dataclass(frozen=True)
class Problem:
    """A scalar function, what it depends on, and its true gradient."""

    function: Callable[[], float]
    arrays: dict[str, Array]
    gradients: dict[str, Array]


@pytest.fixture
def tanh_layer() -> Problem:
    """sum(tanh(x @ w + b) * y), where x is 3 by 4 and w square, so that its transpose has its shape."""
    random = np.random.default_rng(0)
    x, w, b, y = (random.normal(size=shape) for shape in ((3, 4), (4, 4), (4,), (3, 4)))
    dz = (1 - np.tanh(x @ w + b) ** 2) * y
    return Problem(
        lambda: float(np.sum(np.tanh(x @ w + b) * y)),
        {"x": x, "w": w, "b": b},
        {"x": dz @ w.T, "w": x.T @ dz, "b": dz.sum(axis=0)},
    )


def test_a_right_gradient_passes_with_room_to_spare(tanh_layer: Problem) -> None:
    errors = check_gradients(tanh_layer.function, tanh_layer.arrays, tanh_layer.gradients)
    assert errors.keys() == {"x", "w", "b"}
    assert max(errors.values()) < 1e-9


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda dw: -dw, id="sign"),
        pytest.param(lambda dw: dw.T, id="transposed"),
        pytest.param(lambda dw: 2 * dw, id="twice"),
        pytest.param(lambda dw: dw * (1 + 3e-6), id="slightly too large"),
        pytest.param(lambda dw: dw + 3e-6 * np.abs(dw).max() * np.eye(4), id="shifted on the diagonal"),
        pytest.param(np.zeros_like, id="zeros"),
        pytest.param(lambda dw: np.where(np.eye(4) > 0, np.nan, dw), id="nan"),
        pytest.param(lambda dw: np.where(np.eye(4) > 0, np.inf, dw), id="infinite"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_a_wrong_gradient_fails(tanh_layer: Problem, spoil: Callable[[Array], Array]) -> None:
    wrong = tanh_layer.gradients | {"w": spoil(tanh_layer.gradients["w"])}
    with pytest.raises(AssertionError, match=r"w\[\d, \d\]: analytic"):
        check_gradients(tanh_layer.function, tanh_layer.arrays, wrong)


def test_an_error_below_the_tolerance_passes(tanh_layer: Problem) -> None:
    nearly = {name: gradient * (1 + 3e-7) for name, gradient in tanh_layer.gradients.items()}
    errors = check_gradients(tanh_layer.function, tanh_layer.arrays, nearly)
    assert all(error == pytest.approx(3e-7, rel=0.01) for error in errors.values())


def test_the_report_names_the_worst_element_of_each_wrong_array_and_no_other(tanh_layer: Problem) -> None:
    wrong = {name: gradient.copy() for name, gradient in tanh_layer.gradients.items()}
    wrong["w"][1, 2] += 0.01
    wrong["w"][3, 0] += 0.5
    wrong["b"][1] -= 0.5
    with pytest.raises(AssertionError) as failure:
        check_gradients(tanh_layer.function, tanh_layer.arrays, wrong)
    heading, *lines = str(failure.value).splitlines()
    assert heading == "wrong gradient"
    assert [line.split(":")[0] for line in lines] == ["w[3, 0]", "b[1]"]
    assert "must be below 1e-06" in lines[0]


def test_a_tiny_gradient_that_is_wrong_fails() -> None:
    x = np.array([0.5, -1.0])
    with pytest.raises(AssertionError, match=r"x\[1\]"):
        check_gradients(lambda: float(1e-6 * np.sum(x**2)), {"x": x}, {"x": 1e-6 * np.array([1.0, 2.0])})


def test_small_arrays_get_small_steps() -> None:
    """sin(200 x) has turned over within a step of 0.02: only a step in proportion to x can follow it."""
    x = np.array([0.02, -0.01, 0.015])
    check_gradients(lambda: float(np.sum(np.sin(200 * x))), {"x": x}, {"x": 200 * np.cos(200 * x)})


def test_an_array_of_zeros_is_checked_too() -> None:
    bias = np.zeros(3)
    errors = check_gradients(lambda: float(np.sum(np.exp(bias))), {"bias": bias}, {"bias": np.ones(3)})
    assert errors["bias"] < 1e-9


def test_arrays_are_put_back_bit_for_bit(tanh_layer: Problem) -> None:
    before = {name: array.tobytes() for name, array in tanh_layer.arrays.items()}
    check_gradients(tanh_layer.function, tanh_layer.arrays, tanh_layer.gradients)
    assert {name: array.tobytes() for name, array in tanh_layer.arrays.items()} == before


def test_an_array_is_put_back_when_the_function_raises() -> None:
    x = np.array([1.0, 2.0])

    def picky() -> float:
        if x[1] != 2.0:
            raise ArithmeticError
        return float(x[0])

    with pytest.raises(ArithmeticError):
        check_gradients(picky, {"x": x}, {"x": np.array([1.0, 0.0])})
    assert x.tolist() == [1.0, 2.0]


def test_views_of_a_flat_vector_are_checked_through_it() -> None:
    flat = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    views = {"head": flat[:1], "rest": flat[1:].reshape(2, 2).T}
    gradients = {name: 3 * view**2 for name, view in views.items()}
    check_gradients(lambda: float(np.sum(flat**3)), views, gradients)


def test_a_scalar_is_an_array_of_no_dimensions() -> None:
    x = np.array(3.0)
    assert numeric_gradient(lambda: float(x**2), x) == pytest.approx(6.0, rel=1e-10)
    with pytest.raises(AssertionError, match=r"x\[\]"):
        check_gradients(lambda: float(x**2), {"x": x}, {"x": np.array(5.0)})


class TestChecksThatWouldProveNothing:
    def test_float32(self) -> None:
        x = np.ones(2, dtype=np.float32)
        with pytest.raises(ValueError, match="x is float32"):
            check_gradients(lambda: float(x.sum()), {"x": x}, {"x": np.ones(2)})  # type: ignore[dict-item]

    def test_a_gradient_is_missing(self) -> None:
        x, y = np.ones(2), np.ones(2)
        with pytest.raises(ValueError, match="the same names"):
            check_gradients(lambda: float(x @ y), {"x": x, "y": y}, {"x": y})

    def test_no_arrays_at_all(self) -> None:
        with pytest.raises(ValueError, match="the same names"):
            check_gradients(lambda: 1.0, {}, {})

    def test_an_empty_array(self) -> None:
        with pytest.raises(ValueError, match="x is empty"):
            check_gradients(lambda: 1.0, {"x": np.empty(0)}, {"x": np.empty(0)})

    def test_shapes_that_would_broadcast(self) -> None:
        x = np.ones((2, 2))
        with pytest.raises(ValueError, match=r"x is \(2, 2\) and its gradient \(2,\)"):
            check_gradients(lambda: float(x.sum()), {"x": x}, {"x": np.ones(2)})

    def test_a_function_that_rolls_dice(self) -> None:
        x, random = np.ones(2), np.random.default_rng(0)
        with pytest.raises(ValueError, match="for the same arrays"):
            check_gradients(lambda: float(x.sum() + random.normal()), {"x": x}, {"x": np.ones(2)})

    def test_a_function_that_is_not_finite(self) -> None:
        with pytest.raises(ValueError, match="the function is nan"):
            check_gradients(lambda: float("nan"), {"x": np.ones(2)}, {"x": np.ones(2)})

    def test_a_function_that_does_not_read_the_array(self) -> None:
        with pytest.raises(ValueError, match="x does not move the function"):
            check_gradients(lambda: 1.0, {"x": np.ones(2)}, {"x": np.zeros(2)})
