"""A sweep watched: what the coordinator writes, and what the sweep screen shows of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from textual.widgets import DataTable

from femtotui.sweep.coordinator import new_sweep
from femtotui.sweep.messages import Outcome, SweepReport
from femtotui.sweep.spec import SweepError, SweepSpec
from femtotui.sweep.sweep_folder import (
    REPORTS,
    STOP_REQUESTS,
    CoordinatorFiles,
    SweepFolder,
    SweepWatcher,
)
from femtotui.sweep.sweep_screen import SweepApp, SweepScreen, sweep_rows


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    spec = SweepSpec(presets=("10",), settings={"lr": (1e-3, 3e-3, 6e-3)}, steps=100)
    return new_sweep(spec, tmp_path, threads=1)


def report(index: int, step: int, loss: float, **more: object) -> SweepReport:
    figures = {"worker": f"worker {index}", "steps": 100, "ms": 20.0, "elapsed_s": step / 50, **more}
    return SweepReport(index=index, begins=False, step=step, train_loss=loss, **figures)


def test_a_watcher_sees_what_the_coordinator_reports(folder: SweepFolder) -> None:
    watcher = SweepWatcher(folder)
    assert not watcher.read()
    assert not watcher.is_running
    with CoordinatorFiles(folder) as files:
        assert watcher.is_running
        files.write_report(report(0, 10, 3.0, val_loss=3.1, eval_step=10))
        files.write_report(report(1, 10, 2.0, val_loss=2.1, eval_step=10))
        files.write_report(report(0, 20, 2.5, val_loss=2.6, eval_step=20))
        assert watcher.read()
        assert not watcher.read()
        rows = sweep_rows(watcher)
        assert [(row.trial.index, row.state, row.figures.step) for row in rows] == [
            (1, "training", 10),
            (0, "training", 20),
            (2, "waiting", 0),
        ]
        assert rows[0].seconds_left == pytest.approx(1.8)
        assert rows[0].name == "lr 0.003"
        folder.add(Outcome(index=0, state="finished", step=100, val_loss=1.0, worker="w"))
        assert watcher.read()
        assert [row.trial.index for row in sweep_rows(watcher)] == [0, 1, 2]
    assert not watcher.is_running


def test_a_run_that_went_back_to_its_checkpoint_draws_no_loop(folder: SweepFolder) -> None:
    watcher = SweepWatcher(folder)
    with CoordinatorFiles(folder) as files:
        for step in (10, 20, 30, 15, 25):
            files.write_report(report(0, step, 2.0))
    watcher.read()
    assert list(watcher.states[0].steps) == [10, 15, 25]


def test_torn_and_foreign_lines_are_passed_over(folder: SweepFolder) -> None:
    watcher = SweepWatcher(folder)
    with CoordinatorFiles(folder) as files:
        files.write_report(report(0, 10, 2.0))
    whole = msgspec.json.encode(report(0, 20, 1.5))
    with (folder.path / REPORTS).open("ab") as file:
        file.write(b'\xff{"index": "x"}\n[]\n' + whole[:20])
    watcher.read()
    assert watcher.reports[0].step == 10
    with (folder.path / REPORTS).open("ab") as file:
        file.write(whole[20:] + b"\n")
    watcher.read()
    assert watcher.reports[0].step == 20


def test_stop_requests_reach_the_coordinator_once_and_only_those_of_its_time(folder: SweepFolder) -> None:
    watcher = SweepWatcher(folder)
    watcher.request_stop([2])
    with CoordinatorFiles(folder) as files:
        assert files.stop_requests() == set()
        watcher.request_stop([0])
        watcher.request_stop([1, 0])
        assert files.stop_requests() == {0, 1}
        assert files.stop_requests() == set()


def test_a_sweep_has_one_coordinator(folder: SweepFolder) -> None:
    with (
        CoordinatorFiles(folder),
        pytest.raises(SweepError, match=f"is running already.*--watch {folder.name}"),
    ):
        CoordinatorFiles(folder).__enter__()


async def until(happens: Callable[[], bool]) -> None:
    for _ in range(2000):
        if happens():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


def shown(app: SweepApp) -> list[list[str]]:
    table = app.screen.query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(at)] for at in range(table.row_count)]


async def test_the_screen_shows_the_best_first_stops_runs_and_leaves(folder: SweepFolder) -> None:
    app = SweepApp(SweepWatcher(folder))
    with CoordinatorFiles(folder) as files:
        files.write_report(report(0, 10, 3.0, val_loss=3.1, eval_step=10))
        async with app.run_test(size=(120, 36)) as pilot:
            await until(lambda: isinstance(app.screen, SweepScreen) and len(shown(app)) == 3)
            assert [row[1:4] for row in shown(app)] == [
                ["lr 0.001", "training", "10/100"],
                ["lr 0.003", "waiting", "0/100"],
                ["lr 0.006", "waiting", "0/100"],
            ]
            files.write_report(report(2, 20, 1.5, val_loss=1.6, eval_step=20, worker="\x1b[2J there"))
            await until(lambda: shown(app)[0][1] == "lr 0.006")
            assert "\x1b" not in shown(app)[0][8]

            # The cursor stays with its run while the best overtake it.
            await pilot.press("s")
            await until(lambda: bool(stopped := files.stop_requests()) and stopped == {0})
            await pilot.press("S")
            await until(lambda: not isinstance(app.screen, SweepScreen))
            await pilot.press("y")
            await until(lambda: files.stop_requests() == {0, 1, 2})

            folder.add(Outcome(index=2, state="failed", reason="it | broke"))
            await until(lambda: [row[2] for row in shown(app)] == ["training", "failed", "waiting"])
            await pilot.press("escape")
            await until(lambda: not app.is_running)


async def test_a_sweep_that_is_not_running_says_how_to_resume_it(folder: SweepFolder) -> None:
    app = SweepApp(SweepWatcher(folder))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: isinstance(app.screen, SweepScreen) and len(shown(app)) == 3)
        subtitle = app.screen.query_one("#sweep-box").border_subtitle
        assert subtitle is not None
        assert f"femtotui sweep --resume {folder.name}" in str(subtitle)
        await pilot.press("s")
        await until(lambda: bool(app._notifications))
        assert not (folder.path / STOP_REQUESTS).exists()
