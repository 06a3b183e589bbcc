"""A sweep watched: what a leader writes, and what the Sweep screen makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from textual.widgets import DataTable

from femtotui.sweep.coordinator import new_sweep
from femtotui.sweep.live import REPORTS, Lead, Watch
from femtotui.sweep.messages import Outcome, SweepReport
from femtotui.sweep.spec import SweepError, SweepSpec
from femtotui.sweep.sweep_folder import SweepFolder
from femtotui.sweep.sweep_screen import SweepApp, SweepScreen, standings


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    spec = SweepSpec(presets=("10",), settings={"lr": (1e-3, 3e-3, 6e-3)}, steps=100)
    return new_sweep(spec, tmp_path, threads=1)


def report(index: int, step: int, loss: float, **more: object) -> SweepReport:
    figures = {"worker": f"worker {index}", "steps": 100, "ms": 20.0, "elapsed_s": step / 50, **more}
    return SweepReport(index=index, begins=False, step=step, loss=loss, **figures)


def test_a_watcher_sees_what_the_leader_notes(folder: SweepFolder) -> None:
    watch = Watch(folder)
    assert not watch.look()
    assert not watch.is_led
    with Lead(folder) as lead:
        assert watch.is_led
        lead.note(report(0, 10, 3.0, val_loss=3.1, eval_step=10))
        lead.note(report(1, 10, 2.0, val_loss=2.1, eval_step=10))
        lead.note(report(0, 20, 2.5, val_loss=2.6, eval_step=20))
        assert watch.look()
        assert not watch.look()
        rows = standings(watch)
        assert [(row.trial.index, row.state, row.step) for row in rows] == [
            (1, "trains", 10),
            (0, "trains", 20),
            (2, "waits", 0),
        ]
        assert rows[0].seconds_left == pytest.approx(1.8)
        assert rows[0].name == "lr 0.003"
        folder.add(Outcome(index=0, state="finished", step=100, val_loss=1.0, worker="w"))
        assert watch.look()
        assert [row.trial.index for row in standings(watch)] == [0, 1, 2]
    assert not watch.is_led


def test_a_run_that_went_back_to_its_checkpoint_draws_no_loop(folder: SweepFolder) -> None:
    watch = Watch(folder)
    with Lead(folder) as lead:
        for step in (10, 20, 30, 15, 25):
            lead.note(report(0, step, 2.0))
    watch.look()
    assert [point.step for point in watch.curves[0]] == [10, 15, 25]


def test_torn_and_foreign_lines_are_passed_over(folder: SweepFolder) -> None:
    watch = Watch(folder)
    with Lead(folder) as lead:
        lead.note(report(0, 10, 2.0))
    whole = msgspec.json.encode(report(0, 20, 1.5))
    with (folder.path / REPORTS).open("ab") as file:
        file.write(b'\xff{"index": "x"}\n[]\n' + whole[:20])
    watch.look()
    assert watch.last[0].step == 10
    with (folder.path / REPORTS).open("ab") as file:
        file.write(whole[20:] + b"\n")
    watch.look()
    assert watch.last[0].step == 20


def test_wishes_reach_the_leader_once_and_only_those_of_its_time(folder: SweepFolder) -> None:
    watch = Watch(folder)
    watch.ask_to_stop([2])
    with Lead(folder) as lead:
        assert lead.wishes() == set()
        watch.ask_to_stop([0])
        watch.ask_to_stop([1, 0])
        assert lead.wishes() == {0, 1}
        assert lead.wishes() == set()


def test_a_sweep_has_one_leader(folder: SweepFolder) -> None:
    with Lead(folder), pytest.raises(SweepError, match=f"goes on already.*--watch {folder.name}"):
        Lead(folder).__enter__()


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
    app = SweepApp(Watch(folder))
    with Lead(folder) as lead:
        lead.note(report(0, 10, 3.0, val_loss=3.1, eval_step=10))
        async with app.run_test(size=(120, 36)) as pilot:
            await until(lambda: isinstance(app.screen, SweepScreen) and len(shown(app)) == 3)
            assert [row[1:4] for row in shown(app)] == [
                ["lr 0.001", "trains", "10/100"],
                ["lr 0.003", "waits", "0/100"],
                ["lr 0.006", "waits", "0/100"],
            ]
            lead.note(report(2, 20, 1.5, val_loss=1.6, eval_step=20, worker="\x1b[2J there"))
            await until(lambda: shown(app)[0][1] == "lr 0.006")
            assert "\x1b" not in shown(app)[0][8]

            # The cursor stays with its run while the best overtake it.
            await pilot.press("s")
            await until(lambda: bool(stopped := lead.wishes()) and stopped == {0})
            await pilot.press("S")
            await until(lambda: not isinstance(app.screen, SweepScreen))
            await pilot.press("y")
            await until(lambda: lead.wishes() == {0, 1, 2})

            folder.add(Outcome(index=2, state="failed", reason="it | broke"))
            await until(lambda: [row[2] for row in shown(app)] == ["trains", "failed", "waits"])
            await pilot.press("escape")
            await until(lambda: not app.is_running)


async def test_a_sweep_that_nobody_leads_says_how_to_go_on(folder: SweepFolder) -> None:
    app = SweepApp(Watch(folder))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: isinstance(app.screen, SweepScreen) and len(shown(app)) == 3)
        subtitle = app.screen.query_one("#sweep-box").border_subtitle
        assert subtitle is not None
        assert f"femtotui sweep --resume {folder.name}" in str(subtitle)
        await pilot.press("s")
        await until(lambda: bool(app._notifications))
        assert not (folder.path / "wishes.jsonl").exists()
