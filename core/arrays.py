"""The array types of the core, and the one product that gradients are written with."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
"""float32 in training, float64 in the gradient checks."""

IdArray: TypeAlias = NDArray[np.int32]


def product_into(a: FloatArray, b: FloatArray, out: FloatArray, spare: FloatArray | None) -> None:
    """`out = a @ b`; with a `spare` vector of at least `out.size` elements, `out += a @ b`.

    A chunk of a batch either writes its gradients or adds them to the chunks before it.
    """
    if spare is None:
        np.matmul(a, b, out=out)
    else:
        part = spare[: out.size].reshape(out.shape)
        np.matmul(a, b, out=part)
        np.add(out, part, out=out)
