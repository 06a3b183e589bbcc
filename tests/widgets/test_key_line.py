"""The line of keys: what it says, how it is cut, and that a click presses."""

from __future__ import annotations

from pathlib import Path

from stage import training
from textual import events

from femtotui.widgets.help_screen import HelpScreen
from femtotui.widgets.key_line import KeyHint, KeyLine, in_width

HINTS = (KeyHint("space", "pause", "space"), KeyHint("s", "sample", "s"), KeyHint("q", "quit", "q"))


def test_keys_are_shown_whole_with_room_for_a_sign_where_some_are_left_out() -> None:
    assert in_width(HINTS, 29) == HINTS
    assert in_width(HINTS, 28) == HINTS[:2]
    assert in_width(HINTS, 24) == HINTS[:2]
    assert in_width(HINTS, 23) == HINTS[:1]
    assert in_width(HINTS, 3) == ()
    assert in_width((), 10) == ()


async def test_it_says_what_the_keys_do_where_the_focus_is(runs: Path) -> None:
    async with training(runs, size=(80, 24)) as it:
        line = it.app.train.query_one(KeyLine)
        await it.until(lambda: line.render_line(0).text.lstrip().startswith("space pause"))
        assert line.render_line(0).text.rstrip().endswith("…")
        await it.pilot.press("g")
        await it.until(lambda: line.render_line(0).text.lstrip().startswith("← read"))
        await it.pilot.press("escape", "space")
        await it.until(lambda: "space resume" in line.render_line(0).text)


async def test_a_page_that_is_not_the_active_one_has_its_keys_too(runs: Path) -> None:
    async with training(runs) as it:
        it.app.post_message(events.AppBlur())
        await it.pilot.press("space")
        line = it.app.train.query_one(KeyLine)
        await it.until(lambda: "space resume" in line.render_line(0).text)


async def test_a_click_presses_the_key_and_a_pointer_is_told_what_it_does(runs: Path) -> None:
    async with training(runs, size=(140, 36)) as it:
        line = it.app.train.query_one(KeyLine)
        await it.until(lambda: "? help" in line.render_line(0).text)
        at = line.render_line(0).text.index("? help")
        await it.pilot.hover(KeyLine, offset=(at + 2, 0))
        await it.until(lambda: line.tooltip == "Explain the focused panel")
        await it.pilot.click(KeyLine, offset=(at + 2, 0))
        await it.until(lambda: isinstance(it.app.screen, HelpScreen))
