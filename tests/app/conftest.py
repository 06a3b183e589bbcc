"""What the app's tests need: the patience of a machine that does other things as well."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _slow_fingers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second digit may come late without being a number of its own."""
    monkeypatch.setattr("femtotui.screens.choosing.DIGIT_SECONDS", 2.0)
