"""Stat panels: lines that hold still, and repaint only when they change."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region

from femtotui.train.panels import StatPanel


class Host(App[None]):
    def compose(self) -> ComposeResult:
        panel = StatPanel("speed")
        panel.update("9.8 ms/step", "121k tok/s")
        yield panel

    @property
    def panel(self) -> StatPanel:
        return self.query_one(StatPanel)


def lines(panel: StatPanel) -> list[str]:
    return [panel.render_line(y).text.rstrip() for y in range(panel.content_size.height)]


async def test_title_main_and_sub() -> None:
    app = Host()
    async with app.run_test(size=(30, 6)):
        assert lines(app.panel) == ["9.8 ms/step", "121k tok/s", ""]
        assert app.panel.border_title == "speed"


async def test_a_number_that_loses_a_digit_keeps_its_right_edge() -> None:
    app = Host()
    async with app.run_test(size=(30, 6)):
        app.panel.update("10.2 ms/step")
        assert lines(app.panel)[0] == "10.2 ms/step"
        app.panel.update("9.8 ms/step")
        assert lines(app.panel)[0] == " 9.8 ms/step"


async def test_a_number_that_starts_over_starts_at_the_left() -> None:
    app = Host()
    async with app.run_test(size=(30, 6)):
        app.panel.update("4,000")
        app.panel.update("1")
        assert app.panel.lines[0] == "1"
        app.panel.update("–")
        app.panel.update("7")
        assert app.panel.lines[0] == "7"


async def test_only_lines_that_changed_are_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Host()
    async with app.run_test(size=(30, 6)):
        painted: list[tuple[Region, ...]] = []
        monkeypatch.setattr(app.panel, "refresh", lambda *regions: painted.append(regions))
        app.panel.update("9.8 ms/step", "121k tok/s")
        assert painted == []
        app.panel.update("9.9 ms/step", "121k tok/s")
        assert [[region.y for region in regions] for regions in painted] == [[0]]


async def test_a_narrow_panel_drops_the_padding_then_marks_what_it_cuts() -> None:
    app = Host()
    async with app.run_test(size=(30, 6)) as pilot:
        app.panel.styles.width = 14
        await pilot.pause()
        assert app.panel.content_size.width == 11
        app.panel.update("10.2 ms/step")
        assert lines(app.panel)[0] == "10.2 …"
        app.panel.update("9.8 ms/step")
        assert lines(app.panel)[0] == "9.8 ms/step"


async def test_hostile_text_is_inert() -> None:
    app = Host()
    async with app.run_test(size=(40, 6)):
        app.panel.update("[red]\x1b[31m", "a\nb")
        assert lines(app.panel) == ["[red]␛[31m", "a⏎b", ""]


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (10, 4), (200, 50)])
async def test_any_size(size: tuple[int, int]) -> None:
    app = Host()
    async with app.run_test(size=size):
        width, height = app.panel.content_size
        assert {app.panel.render_line(y).cell_length for y in range(height)} <= {width}
