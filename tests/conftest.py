"""What every test needs: nothing of the user's own is read or written."""

from __future__ import annotations

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
