"""The runs screen: what it lists, what can be done there, and that damaged folders harm nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from run_folders import make_run
from stage import Stage, training
from textual.widgets import DataTable, Input

from femtotui.chart.loss_chart import LossChart
from femtotui.core.errors import RunError
from femtotui.core.run_folder.entry import read_note
from femtotui.core.run_folder.lock import RunLock
from femtotui.runs.compare_screen import CompareScreen, compare
from femtotui.runs.library import load_state, read_rows, write_title
from femtotui.runs.runs_screen import ORDERS, RunsScreen, in_order
from femtotui.runs.trash import TRASH, RunTrash
from femtotui.trainer.protocol import Continue
from femtotui.widgets.dialogs import TextQuestion, YesNo
from femtotui.widgets.help_screen import HelpScreen


async def opened(it: Stage) -> RunsScreen:
    await it.pilot.press("u")
    await it.until(lambda: isinstance(it.app.screen, RunsScreen) and bool(it.app.screen.query(DataTable)))
    await it.pilot.pause()
    assert isinstance(it.app.screen, RunsScreen)
    return it.app.screen


def names(screen: RunsScreen) -> list[str]:
    table = screen.query_one(DataTable)
    return [str(table.get_row_at(row)[1]) for row in range(table.row_count)]


async def test_all_runs_are_listed_with_the_curve_of_the_one_under_the_cursor(runs: Path) -> None:
    make_run(runs, "2", 150)
    make_run(runs, "10", 300, seed=3)
    async with training(runs) as it:
        screen = await opened(it)
        assert sorted(names(screen)) == ["#10 modern seed 3", "#2 modern seed 0"]
        chart = screen.query_one(LossChart)
        assert len(chart.model.series) in {150, 300}
        before = len(chart.model.series)
        await it.pilot.press("down")
        await it.until(lambda: len(chart.model.series) not in {0, before})


async def test_damaged_and_foreign_folders_are_shown_as_such_and_nothing_else_suffers(runs: Path) -> None:
    make_run(runs)
    damaged = make_run(runs, "10")
    (damaged / "run.json").write_bytes(b'{"format": 1, "\x1b[31m')
    (runs / "holiday pictures").mkdir()
    (runs / "note.txt").write_text("mine", "utf-8")
    async with training(runs) as it:
        screen = await opened(it)
        assert sorted(names(screen)) == ["#2 modern seed 0", "damaged"]
        for key in ("down", "space", "enter", "r", "up", "space", "r"):
            await it.pilot.press(key)
        await it.until(lambda: not isinstance(it.app.screen, RunsScreen))


async def test_two_runs_are_compared_differences_first(runs: Path) -> None:
    make_run(runs, "2", 150)
    make_run(runs, "10", 300, seed=3)
    async with training(runs) as it:
        await opened(it)
        await it.pilot.press("space", "down", "c")
        await it.until(lambda: isinstance(it.app.screen, CompareScreen))
        await it.pilot.pause()
        chart = it.app.screen.query_one(LossChart)
        await it.until(lambda: len(chart.model.series) > 0)
        assert chart.model.frame().overlays  # type: ignore[union-attr]
        shown = str(it.app.screen.query_one("#compare-table").render())
        assert shown.index("settings that differ") < shown.index("model · width") < shown.index("results")
        await it.pilot.press("escape", "escape")
        await it.until(lambda: it.app.screen is it.app.train)
        picture = it.app.train.query_one(LossChart).model.frame()
        assert picture is not None and len(picture.overlays) == 1


def test_a_comparison_names_what_differs_and_what_does_not(runs: Path) -> None:
    make_run(runs, "2", 150)
    make_run(runs, "3", 250)
    left, right = sorted(read_rows(runs), key=lambda row: row.summary.step)
    differing, results, alike = compare(left, right)
    assert {"model · n layers", "parameters"} <= {line.what for line in differing}
    assert all(line.left != line.right for line in differing)
    assert all(line.left == line.right for line in alike)
    assert "recipe · name" in {line.what for line in alike}
    assert next(line for line in results if line.what == "step").right == "250"


async def test_marked_runs_are_laid_over_the_chart(runs: Path) -> None:
    make_run(runs, "10", 300)
    async with training(runs) as it:
        await it.playing(20)
        await opened(it)
        await it.pilot.press("space", "escape")
        await it.until(lambda: it.app.screen is it.app.train)
        chart = it.app.train.query_one(LossChart)
        picture = chart.model.frame()
        assert picture is not None and [curve.name for curve in picture.overlays] == ["#10 modern s0"]
        await it.pilot.press("o")
        picture = chart.model.frame()
        assert picture is not None and not picture.overlays
        await it.pilot.press("o")
        picture = chart.model.frame()
        assert picture is not None and len(picture.overlays) == 1


async def test_a_run_gets_a_title_and_a_note(runs: Path) -> None:
    run = make_run(runs)
    async with training(runs) as it:
        screen = await opened(it)
        await it.pilot.press("e")
        await it.until(lambda: isinstance(it.app.screen, TextQuestion) and bool(it.app.screen.query(Input)))
        await it.pilot.press(*"best", "enter")
        await it.until(lambda: names(screen) == ["best"])
        await it.pilot.press("t")
        await it.until(lambda: isinstance(it.app.screen, TextQuestion) and bool(it.app.screen.query(Input)))
        await it.pilot.press(*"hm", "enter")
        await it.until(lambda: read_note(run) == "hm")


async def test_deleting_asks_and_can_be_undone(runs: Path) -> None:
    run = make_run(runs)
    async with training(runs) as it:
        screen = await opened(it)
        await it.pilot.press("d")
        await it.until(lambda: isinstance(it.app.screen, YesNo))
        await it.pilot.press("n")
        await it.until(lambda: it.app.screen is screen)
        assert run.exists()
        await it.pilot.press("d")
        await it.until(lambda: isinstance(it.app.screen, YesNo))
        await it.pilot.press("y")
        await it.until(lambda: it.app.screen is screen and not run.exists() and not names(screen))
        await it.pilot.press("escape")
        await it.until(lambda: it.app.screen is it.app.train)
        screen = await opened(it)  # what was deleted is remembered until the app ends, not the screen
        await it.pilot.press("u")
        await it.until(lambda: run.exists() and names(screen) == ["#2 modern seed 0"])


async def test_a_run_from_the_disk_goes_on(runs: Path) -> None:
    run = make_run(runs, "10", 120)
    async with training(runs) as it:
        await opened(it)
        await it.pilot.press("r")
        await it.until(lambda: it.app.screen is it.app.train)
        await it.until(lambda: it.sent(Continue) == 1)
        order = next(command for command in it.trainer.commands if isinstance(command, Continue))
        assert order.run == str(run) and list(it.manager.handles["10"].state.steps)[-1] == 120
        assert "resumes from step 120" in it.news


def test_a_run_that_is_trained_is_not_deleted(runs: Path) -> None:
    run, trash = make_run(runs), RunTrash(runs)
    lock = RunLock(run)
    try:
        with pytest.raises(RunError, match="being trained"):
            trash.delete(read_rows(runs)[0].path)
    finally:
        lock.release()
    trash.delete(read_rows(runs)[0].path)
    assert read_rows(runs) == []
    trash.restore()
    trash.delete(read_rows(runs)[0].path)
    trash.empty()
    assert trash.last is None and not list(runs.iterdir())


def test_an_app_that_ends_leaves_the_trash_of_another_alone(runs: Path) -> None:
    kept, gone = make_run(runs), make_run(runs, "10")
    first, second = RunTrash(runs), RunTrash(runs)
    first.delete(kept)
    second.delete(gone)
    second.empty()
    first.restore()
    assert [row.path for row in read_rows(runs)] == [kept]
    first.empty()
    assert list(runs.iterdir()) == [kept]


def test_what_a_dead_app_left_in_the_trash_is_removed_by_the_next(runs: Path) -> None:
    code = "import sys, os; from pathlib import Path; from femtotui.runs.trash import RunTrash; \
RunTrash(Path(sys.argv[1])).delete(Path(sys.argv[2])); os._exit(1)"
    run = make_run(runs)
    subprocess.run([sys.executable, "-c", code, str(runs), str(run)], check=False)
    assert list((runs / TRASH).glob(f"*/{run.name}"))
    make_run(runs / TRASH)  # as earlier versions left them
    RunTrash(runs).empty()
    assert not list(runs.iterdir())


def test_deleting_a_run_leaves_what_its_links_lead_to(runs: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "step-1.safetensors").write_bytes(b"mine")
    (mine / "run.lock").write_bytes(b"mine")
    sent = make_run(runs, saved=False)
    (sent / "checkpoints").rmdir()
    (sent / "checkpoints").symlink_to(mine)
    (sent / "run.lock").symlink_to(mine / "run.lock")
    linked = runs / "linked"
    linked.symlink_to(mine)
    trash = RunTrash(runs)
    trash.delete(sent)
    trash.delete(linked)
    trash.empty()
    assert not list(runs.iterdir())
    assert sorted(path.read_bytes() for path in mine.iterdir()) == [b"mine", b"mine"]


def test_a_trash_that_is_a_link_takes_no_run(runs: Path, tmp_path: Path) -> None:
    run = make_run(runs)
    (runs / TRASH).symlink_to(tmp_path)
    with pytest.raises(RunError, match="it is a link"):
        RunTrash(runs).delete(run)
    assert run.exists()


def test_orders(runs: Path) -> None:
    for key, last in (("10", 100), ("2", 300), ("3", 200)):
        make_run(runs, key, last)
    rows = read_rows(runs)
    by = {words: [row.summary.step for row in in_order(rows, n)] for n, (words, _) in enumerate(ORDERS)}
    assert by["most steps first"] == [300, 200, 100] == by["lowest loss first"]
    assert by["by preset"] == [300, 200, 100]


def test_titles_are_one_line_and_a_view_has_the_whole_curve(runs: Path) -> None:
    run = make_run(runs, last=130)
    with pytest.raises(RunError):
        write_title(run, "a\nb")
    (run / "title.json").write_bytes(b'{"title": "\\u001b[31mred"}')
    row = read_rows(runs)[0]
    assert row.title == "" and len(load_state(row.summary).steps) == 130
    assert load_state(row.summary, 50).step == 50


async def test_enter_opens_a_run_and_home_and_end_go_to_the_ends(runs: Path) -> None:
    for seed in range(3):
        make_run(runs, "10", 30, seed=seed)
    make_run(runs, "9", 400)
    async with training(runs) as it:
        screen = await opened(it)
        await it.pilot.press("end")
        last = screen._here
        await it.pilot.press("home")
        assert screen._here is not last
        await it.pilot.press("question_mark")
        await it.until(lambda: isinstance(it.app.screen, HelpScreen))
        await it.pilot.press("escape")
        here = screen._here
        assert here is not None
        await it.pilot.press("enter")
        await it.until(lambda: it.app.screen is it.app.train)
        await it.until(lambda: f"#{here.preset} " in it.header())
