"""Looking at a part of the chart, reading a point, laying other runs over it, and drawing without braille."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from fed_chart import FedChart
from textual import events
from textual.app import App, ComposeResult

from femtotui.chart.chart_model import ChartModel, Overlay
from femtotui.chart.glyphs import ASCII, BLOCKS, BRAILLE, choose_glyphs
from femtotui.chart.loss_chart import LossChart
from femtotui.chart.render import compose
from femtotui.chart.series import LossSeries
from femtotui.chart.viewport import Viewport

WHOLE = (0.0, 1000.0)


class Host(App[None]):
    def compose(self) -> ComposeResult:
        yield FedChart()

    @property
    def chart(self) -> FedChart:
        return self.query_one(FedChart)

    @property
    def text(self) -> list[str]:
        return [self.chart.render_line(y).text for y in range(self.chart.content_size.height)]


def curve(n: int = 1000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    steps = np.arange(1, n + 1.0)
    return steps, 1.3 + 4.2 * np.exp(-steps / 40), steps * 0.5


def overlay(name: str = "other", bytes_per_token: float = 1.0, n: int = 500) -> Overlay:
    steps, losses, seconds = curve(n)
    return Overlay(name, name, LossSeries.of(steps, losses + 0.2, seconds), bytes_per_token)


def model(n: int = 1000) -> ChartModel:
    model = ChartModel(smoothing=0.0)
    model.series.extend(*curve(n))
    return model


def test_zooming_keeps_the_place_and_ends_at_everything() -> None:
    view = Viewport().zoomed_x(WHOLE, 0.5, 400)
    assert view.x == (200, 700)
    assert view.zoomed_x(WHOLE, 0.5, 700).x == (450, 700)
    assert view.zoomed_x(WHOLE, 2, 400).x is None
    assert Viewport().zoomed_x(WHOLE, 2, 400) == Viewport()


def test_moving_stops_at_the_ends() -> None:
    view = Viewport((200, 700))
    assert view.moved_x(WHOLE, 0.1).x == (250, 750)
    assert view.moved_x(WHOLE, 9).x == (500, 1000)
    assert view.moved_x(WHOLE, -9).x == (0, 500)
    assert Viewport().moved_x(WHOLE, 1) == Viewport()


def test_zoom_has_a_bottom() -> None:
    view = Viewport()
    for _ in range(200):
        view = view.zoomed_x(WHOLE, 0.5, 500).zoomed_y((0, 1), 0.5)
    assert view.x is not None and view.y is not None
    assert view.x[1] > view.x[0] and view.y[1] > view.y[0]


def test_the_loss_axis_fits_what_is_in_sight() -> None:
    chart = model()
    whole = chart.whole_y
    chart.view = Viewport((500, 1000))
    low, high = chart.whole_y
    assert high - low < 0.1 * (whole[1] - whole[0])


def test_the_cursor_walks_over_points_and_reads_them() -> None:
    chart = model()
    chart.show(replace(chart.data, evals=[(900, 1.4)]))
    assert chart.reading() is None
    chart.move_cursor(-10)
    assert chart.cursor_step == 1000
    chart.move_cursor(-10)
    reading = chart.reading()
    assert reading is not None and reading.step == 990 and reading.elapsed_s == 495
    assert reading.raw == pytest.approx(1.3) and reading.validation == 1.4
    chart.move_cursor(-0.01)
    assert chart.cursor_step == 989
    chart.point_at(3.4)
    chart.move_cursor(-5000)
    assert chart.cursor_step == 1
    assert math.isnan(getattr(chart.reading(), "validation", 0.0))


def test_the_cursor_takes_the_window_along() -> None:
    chart = model()
    chart.view = Viewport((500, 600))
    chart.point_at(599)
    chart.move_cursor(50)
    assert chart.view.x is not None and chart.view.x[1] == chart.cursor_x == 649


def test_bits_a_byte_compare_runs_with_different_tokenizers() -> None:
    chart = model()
    chart.show(replace(chart.data, bytes_per_token=2.0))
    chart.set_overlays([overlay(bytes_per_token=4.0)])
    chart.unit = "bits"
    chart.point_at(400)
    reading = chart.reading()
    assert reading is not None
    assert reading.smoothed == pytest.approx(1.3 / math.log(2) / 2, rel=1e-3)
    assert reading.others[0][1] == pytest.approx(1.5 / math.log(2) / 4, rel=1e-3)


def test_an_overlay_ends_where_its_run_ended() -> None:
    chart = model()
    chart.set_overlays([overlay(n=500)])
    chart.point_at(600)
    reading = chart.reading()
    assert reading is not None and math.isnan(reading.others[0][1])


@pytest.mark.parametrize("glyphs", [BLOCKS, ASCII])
def test_without_braille_the_same_curve_is_drawn_with_what_there_is(glyphs: object) -> None:
    chart = model()
    chart.show(replace(chart.data, baselines=[("floor", 1.3)], goal=(629, 1.476, "journal")))
    chart.set_overlays([overlay()])
    picture = chart.frame(glyphs)  # type: ignore[arg-type]
    assert picture is not None
    grid = compose(picture, 20, 90)
    text = "".join(map(chr, grid.codes_HW.ravel()))
    assert not any("\u2800" <= letter <= "\u28ff" for letter in text)
    if glyphs is ASCII:
        assert text.isascii()
        assert text.count(".") + text.count("'") + text.count(":") > 80
    else:
        assert text.count("▀") + text.count("▄") + text.count("█") > 80


def test_the_glyphs_follow_the_terminal() -> None:
    assert choose_glyphs("auto", {"TERM": "linux"}) is BLOCKS
    assert choose_glyphs("auto", {"TERM": "xterm-256color", "TEXTUAL_DRIVER": "x"}) is BRAILLE
    assert choose_glyphs("ascii", {}) is ASCII


async def test_keys_zoom_read_and_show_all_again() -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        app.chart.add_points(*curve())
        app.chart.set_overlays([overlay("entry 3")])
        app.chart.focus()
        await pilot.press("left", "left")
        await pilot.pause()
        assert "┊ step 9" in app.text[0] and "━━ smoothed 1.3" in app.text[0]
        assert any("━ entry 3" in line for line in app.text)
        assert sum("┊" in line for line in app.text) > 10
        await pilot.press("up", "up", "shift+up", "b")
        await pilot.pause()
        assert "zoomed · bits per byte" in app.text[0] or not app.chart.model.view.is_whole
        before = app.chart.model.view
        await pilot.press("shift+left")
        assert app.chart.model.view != before
        await pilot.press("home")
        assert app.chart.model.view.is_whole
        app.chart.action_hide_cursor()
        await pilot.pause()
        assert "┊" not in "".join(app.text)


async def test_the_mouse_reads_zooms_and_drags() -> None:
    app = Host()
    async with app.run_test(size=(100, 20)) as pilot:
        app.chart.add_points(*curve())
        await pilot.pause()
        await pilot.click(LossChart, offset=(50, 8))
        assert app.chart.reads
        await pilot._post_mouse_events([events.MouseScrollUp], LossChart, (50, 8))
        view = app.chart.model.view
        assert view.x is not None
        await pilot.mouse_down(LossChart, offset=(50, 8))
        await pilot.hover(LossChart, offset=(40, 8))
        await pilot.mouse_up(LossChart, offset=(40, 8))
        moved = app.chart.model.view
        assert moved.x is not None and moved.x[0] > view.x[0]
        await pilot.click(LossChart, offset=(50, 8), times=2)
        assert app.chart.model.view.is_whole
