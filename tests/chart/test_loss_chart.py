"""The loss chart on a screen: what it says, what it draws, what it draws again, and what it survives."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from fed_chart import FedChart
from textual.app import App, ComposeResult
from textual.color import Color
from textual.geometry import Region

from femtotui.chart.frame_data import Ink
from femtotui.chart.loss_chart import EMPTY_TEXT, LossChart, _component
from femtotui.tokens.colours import contrast


class Host(App[None]):
    def compose(self) -> ComposeResult:
        yield FedChart()

    @property
    def chart(self) -> FedChart:
        return self.query_one(FedChart)


def lines(chart: LossChart) -> list[str]:
    return [chart.render_line(y).text for y in range(chart.content_size.height)]


def text(chart: LossChart) -> str:
    return "\n".join(lines(chart))


def train(chart: FedChart, n: int = 500, start: int = 1) -> None:
    steps = np.arange(start, start + n)
    chart.add_points(steps, 1.3 + 4.2 * np.exp(-steps / 40), steps * 0.5)


def braille_cells(chart: LossChart) -> int:
    return sum("\u2801" <= character <= "\u28ff" for character in text(chart))


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Region, ...]]]:
    """The regions of every repaint that the chart asks for."""
    calls: list[tuple[Region, ...]] = []
    original = LossChart.refresh

    def refresh(self: LossChart, *regions: Region, **options: bool) -> LossChart:
        calls.append(regions)
        return original(self, *regions, **options)

    monkeypatch.setattr(LossChart, "refresh", refresh)
    yield calls


async def test_it_waits_in_words() -> None:
    app = Host()
    async with app.run_test(size=(80, 20)):
        assert EMPTY_TEXT in text(app.chart)


async def test_points_become_a_curve_with_axes_and_a_legend() -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        train(app.chart)
        app.chart.add_validation(100, 1.7)
        app.chart.add_validation(400, 1.35)
        await pilot.pause()
        shown = lines(app.chart)
        assert "smoothed 1.3" in shown[0]
        assert "loss 1.3000" in shown[0]
        assert "validation 1.3500" in shown[0]
        assert "╰" in shown[-1]
        assert " 200 " in shown[-1]
        assert braille_cells(app.chart) > 50
        assert sum(line.count("•") for line in shown[1:]) >= 1


async def test_baselines_are_named_at_the_right_edge_each_in_its_own_row() -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        train(app.chart)
        app.chart.set_baselines([("bigram", 1.31), ("floor", 1.30), ("twin", 1.305), ("bad", math.nan)])
        await pilot.pause()
        rows = {
            name: [y for y, line in enumerate(lines(app.chart)) if line.rstrip().endswith(name)]
            for name in ("bigram 1.310", "floor 1.300", "twin 1.305")
        }
        assert all(len(found) == 1 for found in rows.values())
        assert rows["bigram 1.310"] < rows["twin 1.305"] < rows["floor 1.300"]
        assert "bad" not in text(app.chart)


async def test_baselines_out_of_sight_are_pointed_at() -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        train(app.chart, 4000)
        app.chart.set_baselines([("ln V", 5.545), ("floor", 0.1)])
        await pilot.pause()
        assert "↑ ln V 5.545" in text(app.chart)
        assert "↓ floor 0.100" in text(app.chart)


async def test_the_goal_is_a_diamond_even_ahead_of_the_run() -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        train(app.chart, 100)
        app.chart.set_goal(629, 1.9, "journal")
        await pilot.pause()
        assert "◆ journal 1.9000 at 629" in lines(app.chart)[0]
        assert any("◆" in line for line in lines(app.chart)[1:])
        app.chart.clear_goal()
        await pilot.pause()
        assert "◆" not in text(app.chart)


async def test_a_short_legend_keeps_what_matters_most() -> None:
    app = Host()
    async with app.run_test(size=(80, 12)) as pilot:
        train(app.chart)
        app.chart.add_validation(400, 1.35)
        app.chart.set_goal(629, 1.476, "journal")
        await pilot.pause()
        assert "smoothed" in lines(app.chart)[0]
        assert "journal 1.4760 at 629" in lines(app.chart)[0]
        assert "━━ loss" not in lines(app.chart)[0]


async def test_what_is_given_before_the_first_frame_is_shown() -> None:
    app = Host()
    chart = FedChart()
    train(chart)
    chart.action_toggle_log_y()
    async with app.run_test(size=(80, 40)) as pilot:
        await app.mount(chart)
        await pilot.pause()
        assert braille_cells(chart) > 50


async def test_keys_change_axes_and_smoothing() -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        train(app.chart)
        app.chart.focus()
        await pilot.press("l", "x", "plus")
        model = app.chart.model
        assert (model.log_y, model.x_axis, model.smoothing) == (True, "time", 0.95)
        await pilot.pause()
        assert "log y · time · smoothing 0.95" in lines(app.chart)[0]
        assert " 1m " in lines(app.chart)[-1] or " 2m " in lines(app.chart)[-1]
        await pilot.press("l", "x", *["minus"] * 9)
        assert (model.log_y, model.x_axis, model.smoothing) == (False, "steps", 0.0)


async def test_how_it_is_looked_at_is_said_however_full_the_legend_is() -> None:
    app = Host()
    async with app.run_test(size=(88, 16)) as pilot:
        train(app.chart)
        app.chart.add_validation(400, 1.35)
        app.chart.set_goal(300, 1.476, "journal")
        await pilot.pause()
        assert "journal 1.4760" in lines(app.chart)[0] and "steps" not in lines(app.chart)[0]
        app.chart.action_toggle_log_y()
        await pilot.pause()
        assert lines(app.chart)[0].endswith("log y") and "smoothed" in lines(app.chart)[0]
        app.chart.action_zoom(1)
        app.chart.action_toggle_unit()
        await pilot.pause()
        assert lines(app.chart)[0].endswith("zoomed · log y · bits per byte")
        app.chart.action_smooth(1)
        await pilot.pause()
        assert lines(app.chart)[0].endswith("smoothing 0.95")


async def test_without_smoothing_the_smoothed_value_is_the_loss() -> None:
    app = Host()
    async with app.run_test(size=(100, 20)):
        app.chart.model.smooth(0.0)
        app.chart.add_points([1, 2], [3.0, 2.5])
        assert app.chart.model.latest_smoothed == 2.5


async def test_time_without_times_falls_back_to_steps() -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        app.chart.add_points([1, 2], [3.0, 2.5])
        app.chart.action_toggle_x_axis()
        await pilot.pause()
        assert "steps" in lines(app.chart)[0]


async def test_values_that_are_not_numbers_are_a_gap_and_a_warning() -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        train(app.chart, 50)
        app.chart.add_points([51, 52], [math.nan, math.inf])
        app.chart.add_validation(52, math.nan)
        await pilot.pause()
        assert "! 2 not a number" in lines(app.chart)[0]
        assert braille_cells(app.chart) > 5


async def test_only_nan_is_still_a_chart() -> None:
    app = Host()
    async with app.run_test(size=(80, 20)) as pilot:
        app.chart.add_points([1, 2], [math.nan, math.nan])
        app.chart.action_toggle_log_y()
        await pilot.pause()
        assert "2 not a number" in text(app.chart)


async def test_clear_waits_again() -> None:
    app = Host()
    async with app.run_test(size=(80, 20)) as pilot:
        train(app.chart)
        app.chart.set_baselines([("floor", 1.3)])
        app.chart.clear()
        await pilot.pause()
        assert EMPTY_TEXT in text(app.chart)
        assert "floor" not in text(app.chart)


async def test_hostile_names_stay_text() -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        train(app.chart)
        app.chart.set_baselines([("\x1b[31m漢", 1.5)])
        app.chart.set_goal(100, 1.5, "[bold]x[/]\n")
        await pilot.pause()
        assert "␛[31m\\u6f22 1.500" in text(app.chart)
        assert "[bold]x[/]⏎" in text(app.chart)


async def test_a_burst_of_updates_is_one_repaint_of_the_rows_that_changed(
    painted: list[tuple[Region, ...]],
) -> None:
    app = Host()
    async with app.run_test(size=(100, 40)) as pilot:
        train(app.chart, 900)
        app.chart.set_goal(2000, 1.3, "journal")
        await pilot.pause()
        painted.clear()
        for step in range(901, 911):
            train(app.chart, 1, step)
        await pilot.pause(0.5)
        assert len(painted) == 1
        assert 0 < len(painted[0]) < 10


async def test_points_wait_until_they_are_shown_and_keys_do_not() -> None:
    app = Host()
    async with app.run_test(size=(100, 40)) as pilot:
        app.chart.focus()
        train(app.chart, 900)
        await pilot.pause()
        before = text(app.chart)
        app.chart.run.series.extend([901.0], [0.1], [450.5])
        await pilot.pause()
        assert text(app.chart) == before  # the Train screen says when new points are drawn
        await pilot.press("l")
        await pilot.pause()
        assert text(app.chart) != before


async def test_the_same_picture_is_not_painted_again(painted: list[tuple[Region, ...]]) -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        train(app.chart)
        app.chart.set_baselines([("floor", 1.3)])
        await pilot.pause()
        painted.clear()
        app.chart.set_baselines([("floor", 1.3)])
        await pilot.pause()
        assert painted == []


async def test_what_is_hidden_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        app.chart.display = False
        await pilot.pause()
        composed: list[object] = []
        monkeypatch.setattr(app.chart, "_compose_grid", composed.append)
        train(app.chart)
        await pilot.pause()
        assert composed == []


async def test_a_hidden_chart_is_up_to_date_when_it_is_shown() -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        app.chart.display = False
        await pilot.pause()
        train(app.chart)
        await pilot.pause()
        app.chart.display = True
        await pilot.pause()
        assert braille_cells(app.chart) > 50


class BareHost(Host):
    CSS = "LossChart, LossChart:focus { border: none; padding: 0; min-height: 1; }"


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 4), (7, 3), (12, 5), (30, 8), (56, 6), (300, 80)])
async def test_any_size_and_any_number_of_points(size: tuple[int, int]) -> None:
    app = BareHost()
    async with app.run_test(size=size) as pilot:
        assert app.chart.content_size == size
        for n in (0, 1, 2, 3000):
            app.chart.clear()
            train(app.chart, n)
            app.chart.set_baselines([("ln V", 5.5), ("floor", 1.24)])
            app.chart.set_goal(629, 1.476, "journal")
            app.chart.action_toggle_log_y()
            await pilot.pause()
            assert {app.chart.render_line(y).cell_length for y in range(size[1])} == {size[0]}


async def test_resizing_draws_at_the_new_size() -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        train(app.chart)
        for size in ((60, 10), (20, 5), (120, 36)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert {len(line) for line in lines(app.chart)} == {app.chart.content_size.width}
        assert braille_cells(app.chart) > 50


@pytest.mark.parametrize("theme", ["textual-light", "nord", "ansi-dark"])
async def test_colours_follow_the_theme(theme: str) -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        train(app.chart)
        await pilot.pause()
        before = [segment.style for segment in app.chart.render_line(0)]
        app.theme = theme
        await pilot.pause()
        after = [segment.style for segment in app.chart.render_line(0)]
        assert before != after


async def test_every_line_stands_out_in_every_theme() -> None:
    app = Host()
    async with app.run_test(size=(100, 30)) as pilot:
        for theme in app.available_themes:
            if "ansi" in theme:
                continue  # the terminal's own sixteen colours
            app.theme = theme
            await pilot.pause()
            ground = app.chart.background_colors[1]
            for ink in Ink:
                drawn = app.chart.get_component_rich_style(_component(ink)).color
                assert drawn is not None and drawn.triplet is not None
                assert contrast(Color(*drawn.triplet), ground) >= 3, (theme, ink.name)
