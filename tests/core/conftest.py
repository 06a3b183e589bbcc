"""Fixtures of the core's tests: the reference values, and one of their sizes and wirings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_reference import SIZES, WIRINGS, Reference


@pytest.fixture(scope="session")
def reference_values() -> Mapping[str, Any]:
    with np.load(Path(__file__).parent / "model" / "reference" / "reference.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(params=[f"{s}-{w}" for s in SIZES for w in WIRINGS])
def reference(request: pytest.FixtureRequest, reference_values: Mapping[str, Any]) -> Reference:
    size, wiring = request.param.split("-")
    return Reference(reference_values, size, wiring)
