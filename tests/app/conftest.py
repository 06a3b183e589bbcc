"""What the app's tests need: the patience of a machine that does other things as well."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _slow_fingers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second digit may come late without being a number of its own."""
    monkeypatch.setattr("femtotui.train.preset_list.DIGIT_SECONDS", 2.0)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of runs, which nothing has made yet."""
    return tmp_path / "runs"
