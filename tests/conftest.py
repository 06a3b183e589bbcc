"""What every test needs: nothing of the user's own is read or written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory):
    """Runs, downloads and measured choices go to a folder of the test session's."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("own")
    patch.setenv("FEMTOTUI_CACHE", str(folder / "cache"))
    patch.setenv("FEMTOTUI_RUNS", str(folder / "runs"))
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _slow_fingers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second digit may come late without being a number of its own, on a machine that is busy."""
    module = sys.modules.get("femtotui.train.preset_list")
    if module is not None:
        monkeypatch.setattr(module, "DIGIT_SECONDS", 2.0)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of runs, which nothing has made yet."""
    return tmp_path / "runs"
