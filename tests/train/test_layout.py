"""The Train screen at every size, and the screens that come over it."""

from __future__ import annotations

from pathlib import Path

import pytest
from stage import Stage, training

from femtotui.chart.loss_chart import LossChart
from femtotui.sampling.fields import Prompt
from femtotui.sampling.sample_screen import SampleScreen
from femtotui.train.header import cut_to
from femtotui.train.preset_list import PresetList
from femtotui.widgets.dialogs import TooSmallScreen
from femtotui.widgets.help_screen import HelpScreen, key_rows


async def test_too_small_a_terminal_asks_for_room_and_comes_back(runs: Path) -> None:
    async with training(runs) as it:
        await it.pilot.resize_terminal(39, 11)
        await it.until(lambda: isinstance(it.app.screen, TooSmallScreen))
        assert "now 39×11, needs 40×12" in str(it.app.screen.query_one("#too-small").render())
        await it.pilot.resize_terminal(30, 20)
        await it.until(lambda: "now 30×20" in str(it.app.screen.query_one("#too-small").render()))
        it.trainer.play(8)
        await it.pilot.resize_terminal(80, 24)
        await it.until(lambda: not isinstance(it.app.screen, TooSmallScreen))
        await it.until(lambda: it.panel("step")[0] == "8" and it.app.train.has_class("-narrow"))


async def test_a_covered_screen_leaves_when_it_is_the_topmost_again(runs: Path) -> None:
    async with training(runs) as it:
        await it.pilot.press("question_mark")
        await it.until(lambda: isinstance(it.app.screen, HelpScreen))
        help_screen = it.app.screen
        await it.pilot.resize_terminal(39, 11)
        await it.until(lambda: isinstance(it.app.screen, TooSmallScreen))
        help_screen.dismiss()
        await it.pilot.pause()
        assert isinstance(it.app.screen, TooSmallScreen)
        await it.pilot.resize_terminal(120, 36)
        await it.until(lambda: it.app.screen is it.app.train)


async def test_a_screen_that_has_gone_takes_no_other_with_it(runs: Path) -> None:
    async with training(runs) as it:
        await it.pilot.press("question_mark")
        await it.until(lambda: isinstance(it.app.screen, HelpScreen))
        help_screen = it.app.screen
        help_screen.dismiss()
        help_screen.dismiss()
        await it.pilot.pause()
        assert it.app.screen is it.app.train


async def test_on_80_columns_p_brings_the_presets_over_the_top(runs: Path) -> None:
    async with training(runs, size=(80, 24)) as it:
        presets = it.app.train.query_one(PresetList)
        assert not presets.display
        chart_width = it.app.train.query_one(LossChart).size.width
        await it.pilot.press("p")
        await it.until(lambda: presets.display and presets.has_focus)
        assert it.app.train.query_one(LossChart).size.width == chart_width
        await it.pilot.press("down", "enter")
        await it.until(lambda: "#3 " in it.header())
        assert not presets.display


@pytest.mark.parametrize("size", [(40, 12), (60, 20), (80, 24), (100, 30), (120, 36), (200, 50)])
async def test_chart_and_numbers_have_room_at_every_size(runs: Path, size: tuple[int, int]) -> None:
    async with training(runs, size=size) as it:
        await it.playing(150)
        assert it.app.train.query_one(LossChart).size.height >= 3
        shown = "#panels" if size[0] >= 72 and size[1] >= 20 else "#summary"
        assert it.app.train.query_one(shown).display
        for widget in it.app.train.query("#panels > *, #chart, #sample, #status, #keys"):
            if widget.is_on_screen and widget.display and widget.size.area:
                assert widget.region.right <= size[0] and widget.region.bottom <= size[1]
        await it.pilot.press("s")
        await it.until(lambda: isinstance(it.app.screen, SampleScreen) and isinstance(it.app.focused, Prompt))
        await it.pilot.pause()
        assert it.app.screen.query_one("#sampling-tokens").size.height >= 3
        for widget in it.app.screen.query("*"):
            if widget.is_on_screen and widget.display and widget.size.area:
                assert widget.region.right <= size[0] and widget.region.bottom <= size[1], widget


def help_words(it: Stage) -> str:
    text = it.app.screen.query_one("#help-text")
    return "\n".join(strip.text.rstrip() for strip in text.render_lines(text.size.region))


async def test_question_mark_explains_keys_and_panels(runs: Path) -> None:
    async with training(runs) as it:
        await it.pilot.press("question_mark")
        await it.until(lambda: isinstance(it.app.screen, HelpScreen))
        await it.pilot.pause()
        shown = help_words(it)
        assert "pause" in shown and "checkpoint" in shown and "the journal's own run" in shown
        for key, tooltip in key_rows(it.app.train):
            assert key in shown and tooltip in " ".join(shown.split()), tooltip
        await it.pilot.press("escape")
        await it.until(lambda: not isinstance(it.app.screen, HelpScreen))


def test_a_long_notice_is_cut_with_a_sign_and_keeps_its_last_line() -> None:
    words = "a stand-in " * 30
    cut = cut_to(words.strip(), 40, 2).split("\n")
    assert len(cut) == 2 and cut[-1].endswith(" …") and all(len(line) <= 40 for line in cut)
    assert cut_to("short", 40, 2) == "short"
    told = cut_to(f"{words}\nr resumes", 40, 4).split("\n")
    assert len(told) == 4 and told[2].endswith(" …") and told[3] == "r resumes"
    assert cut_to("why\nn tries again", 40, 4) == "why\nn tries again"


async def test_help_begins_with_the_keys_of_the_focused_panel(runs: Path) -> None:
    async with training(runs) as it:
        await it.pilot.press("g", "question_mark")
        await it.until(lambda: isinstance(it.app.screen, HelpScreen))
        await it.pilot.pause()
        shown = help_words(it)
        assert shown.startswith("the chart\n") and "↑ z        zoom in about the cursor" in shown
