"""The runs under the presets: what a line says, and what choosing one does."""

from __future__ import annotations

from pathlib import Path

import msgspec
from run_folders import make_run
from stage import Stage, training

from femtotui.chart.frame_data import MAX_OVERLAYS
from femtotui.chart.loss_chart import LossChart
from femtotui.core.run_folder.lock import RunLock
from femtotui.runs.library import read_rows, write_title
from femtotui.runs.run_list import NEWEST, Glance, RunList, run_line, run_words


def lines(it: Stage) -> list[str]:
    return [str(option.prompt) for option in it.app.train.query_one(RunList).options]


async def listed(it: Stage, count: int) -> RunList:
    await it.until(lambda: len(lines(it)) == count)
    return it.app.train.query_one(RunList)


def test_a_line_says_how_a_run_stands_and_how_far_it_fell(runs: Path) -> None:
    parked, unsaved = make_run(runs, "2", 200), make_run(runs, "10", 30, saved=False)
    damaged = make_run(runs, "3")
    (damaged / "run.json").write_text("{")
    rows = {row.path: row for row in read_rows(runs)}
    when = rows[parked].summary.info.created[5:16].replace("T", " ")  # type: ignore[union-attr]
    assert run_line(rows[parked], Glance()).plain == f"‖  2 {when} {rows[parked].summary.val_loss:.3f}"
    assert run_line(rows[unsaved], Glance()).plain.startswith("– 10 ")
    assert run_line(rows[damaged], Glance()).plain.startswith("! ")
    assert "is damaged" in run_words(rows[damaged])
    assert "step 200 of" in run_words(rows[parked])
    on_chart = Glance((), "", (unsaved.name, parked.name))
    assert run_line(rows[parked], on_chart).plain.startswith("◆")
    assert all(run_line(row, Glance()).cell_length == 22 for row in rows.values())


def test_the_run_that_trains_and_a_title_show(runs: Path) -> None:
    folder = make_run(runs)
    write_title(folder, "the one with a very long name")
    lock = RunLock(folder)
    row = read_rows(runs)[0]
    lock.release()
    line = run_line(row, Glance((row,), folder.name)).plain
    assert line.startswith("● the one with …") and line.endswith("now")


def test_the_newest_are_read_and_no_others(runs: Path) -> None:
    for key in ("2", "3", "10"):
        make_run(runs, key, 1)
    assert [row.path.name for row in read_rows(runs, 2)] == [row.path.name for row in read_rows(runs)][:2]
    assert NEWEST >= 20


async def test_enter_lays_a_run_over_the_chart_and_takes_it_off(runs: Path) -> None:
    folder = make_run(runs, "10", 30)
    async with training(runs) as it:
        await it.playing(5)
        await listed(it, 1)
        await it.pilot.press("tab", "down")
        await it.until(lambda: "step 30 of" in it.news)
        await it.pilot.press("enter")
        chart = it.app.train.query_one(LossChart)
        await it.until(lambda: [other.key for other in chart.model.overlays] == [folder.name])
        assert lines(it)[0].startswith("◆")
        await it.pilot.press("enter")
        await it.until(lambda: not chart.model.overlays and lines(it)[0].startswith("‖"))


async def test_a_run_that_begins_or_ends_shows_at_once(runs: Path) -> None:
    async with training(runs) as it:
        await listed(it, 0)
        make_run(runs, "10", 30)
        await it.pilot.press("space")
        await it.until(lambda: "paused" in it.header())
        await listed(it, 1)


async def test_no_more_runs_than_there_are_colours_for(runs: Path) -> None:
    for _ in range(MAX_OVERLAYS + 1):
        make_run(runs, "10", 3)
    async with training(runs) as it:
        await it.playing(5)
        await listed(it, MAX_OVERLAYS + 1)
        await it.pilot.press("tab")
        for _ in range(MAX_OVERLAYS + 1):
            await it.pilot.press("down", "enter")
        await it.until(lambda: f"no more than {MAX_OVERLAYS}" in it.news)
        assert sum(line.startswith("◆") for line in lines(it)) == MAX_OVERLAYS


async def test_the_runs_stand_under_the_presets_where_there_is_room(runs: Path) -> None:
    async with training(runs, size=(120, 36)) as it:
        left = it.app.train.query_one("#presets").region
        runs_region = it.app.train.query_one(RunList).region
        assert runs_region.y == left.bottom and runs_region.height >= 5
        await it.pilot.resize_terminal(120, 28)
        await it.until(lambda: not it.app.train.query_one(RunList).display)


async def test_the_run_on_the_chart_is_not_laid_over_itself(runs: Path) -> None:
    folder = make_run(runs, "10", 30)
    async with training(runs) as it:
        await it.playing(5)
        current = it.manager.current
        assert current is not None and current.state.started is not None
        row = read_rows(runs)[0]
        current.state.started = msgspec.structs.replace(current.state.started, run=str(folder))
        it.app.train.overlays.show((row,))
        assert it.app.train.overlays.rows == ()
