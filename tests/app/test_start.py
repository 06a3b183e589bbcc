"""What the app opens: a preset, a run, or what was left."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_folders import make_run
from stage import stage

from femtotui.app.start import _choices
from femtotui.core.errors import UnknownPresetError
from femtotui.runs.actions import RunActions
from femtotui.runs.choices import Choices
from femtotui.runs.state import Status
from femtotui.train.preset_list import PresetList


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEMTOTUI_CONFIG", str(tmp_path / "config"))


def opened(runs: Path, target: str | None = None, *, trains: bool = True, **options: object) -> Choices:
    asked = {"recipe": None, "seed": None, "data": (), **options}
    return _choices(target, runs, trains=trains, **asked)


def test_without_runs_entry_2_begins(runs: Path) -> None:
    found = opened(runs)
    assert (found.opening.key, found.run) == ("2", None)


def test_what_was_left_comes_before_what_has_finished(runs: Path) -> None:
    finished = make_run(runs, "9", 1000)
    assert opened(runs).run is not None and opened(runs).run.path == finished  # type: ignore[union-attr]
    left = make_run(runs, "10", 30)
    found = opened(runs)
    assert found.run is not None and found.run.path == left and found.opening.key == "10"
    assert opened(runs, recipe="journal").run is None
    assert opened(runs, trains=False).run is None


def test_a_preset_comes_before_a_run_and_a_name_that_is_neither_is_said(runs: Path) -> None:
    run = make_run(runs, "10", 30)
    assert opened(runs, "7").opening.key == "7" and opened(runs, "7").run is None
    assert opened(runs, run.name).run.path == run  # type: ignore[union-attr]
    assert opened(runs, "latest").opening.key == "10"
    with pytest.raises(UnknownPresetError, match="nor is there a run"):
        opened(runs, "nothing of the kind")


async def test_a_finished_run_is_shown_with_its_parameters_and_nothing_trains(runs: Path) -> None:
    make_run(runs, "9", 1000)
    async with stage(runs) as it:
        await it.until(lambda: "training" in it.header())
        actions: RunActions = it.app.train.actions
        run = opened(runs).run
        assert run is not None
        it.app.train._do(lambda: actions.open_run(run))
        await it.until(lambda: "#9 " in it.header() and "finished" in it.header())
        assert actions.status is Status.FINISHED and "n starts a new run" in it.news


async def test_browsing_trains_nothing(runs: Path) -> None:
    async with stage(runs, trains=False) as it:
        await it.until(lambda: "nothing trains yet" in it.news)
        assert it.manager.current is None
        it.app.train.query_one(PresetList).focus()
        await it.pilot.press("1", "0", "enter")
        await it.until(lambda: "#10 " in it.header())
