"""The alternatives at a place: bars to an eighth of a cell, tokens made safe, the chosen one marked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual.app import App, ComposeResult

from femtotui.tokens.alternatives import EMPTY_TEXT, NextToken, bar, percent, quoted


@dataclass(frozen=True)
class Alternative:
    bytes: bytes
    p: float
    p_cut: float = 0.25


@dataclass(frozen=True)
class Token:
    bytes: bytes
    p: float
    top: tuple[Alternative, ...]
    rank: int = 1
    surprise_bits: float = 0.49
    entropy_bits: float = 1.25


TOP = (
    Alternative(b"a", 0.712, 1.0),
    Alternative(b"e", 0.18, 0.0),
    Alternative(b" ", 0.1, 0.0),
    Alternative(b"\x1b", 0.008, 0.0),
)


class Host(App[None]):
    def compose(self) -> ComposeResult:
        yield NextToken()

    @property
    def panel(self) -> NextToken:
        return self.query_one(NextToken)


def lines(panel: NextToken) -> list[str]:
    return [panel.render_line(y).text.rstrip() for y in range(panel.content_size.height)]


def first_style(panel: NextToken, y: int) -> Style | None:
    return next(iter(panel.render_line(y))).style


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0, "    "),
        (1, "████"),
        (0.5, "██  "),
        (0.28125, "█▏  "),
        (1e-9, "▏   "),
        (7, "████"),
        (math.nan, "    "),
    ],
)
def test_bars_have_eighths_and_never_vanish(share: float, shown: str) -> None:
    assert bar(share, 4) == shown


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 30))
def test_more_is_never_a_shorter_bar(one: float, other: float, width: int) -> None:
    ink = {" ": 0, **{glyph: eighths for eighths, glyph in enumerate("▏▎▍▌▋▊▉█", start=1)}}
    lengths = [sum(ink[cell] for cell in bar(share, width)) for share in sorted((one, other))]
    assert lengths[0] <= lengths[1]
    assert len(bar(one, width)) == width


@given(st.floats(0, 1))
def test_percentages_are_of_one_width(p: float) -> None:
    assert len(percent(p)) == len(percent(math.nan)) == 7


@given(st.binary(max_size=12), st.integers(3, 14))
def test_quoted_tokens_have_the_width_that_was_asked_for(token: bytes, width: int) -> None:
    assert cell_len(quoted(token, width)) == width


async def test_it_says_that_there_is_nothing_yet() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)):
        assert lines(app.panel)[0] == EMPTY_TEXT


async def test_alternatives_with_bars_and_percentages() -> None:
    app = Host()
    async with app.run_test(size=(60, 12)):
        app.panel.show(Token(b"e", 0.18, TOP, rank=2, surprise_bits=2.474))
        heads, *shown = lines(app.panel)
        assert heads.split() == ["raw", "after", "top-p"]
        assert shown[0].startswith("'a'")
        assert "█████" in shown[0]
        assert shown[0].split()[2] == "71.2%" and shown[0].endswith("100.0%")
        assert shown[1].endswith("–"), "what is cut has no probability any more"
        assert shown[2].startswith("'·'")
        assert shown[3].startswith("'␛'")
        assert shown[-1] == "'e' rank 2 · surprise 2.47 · entropy 1.25 bits"
        assert len({first_style(app.panel, row) for row in (1, 2, 3)}) == 3, "kept, chosen, cut"


async def test_a_distribution_without_a_choice_has_no_summary() -> None:
    app = Host()
    async with app.run_test(size=(60, 12)):
        app.panel.show(None, TOP)
        assert not any("rank" in line for line in lines(app.panel))
        assert first_style(app.panel, 2) == first_style(app.panel, 3)
        app.panel.show(None)
        assert lines(app.panel)[0] == EMPTY_TEXT


async def test_a_narrow_panel_takes_two_lines_for_the_summary() -> None:
    app = Host()
    async with app.run_test(size=(30, 12)):
        app.panel.show(Token(b"e", 0.18, TOP, rank=2, surprise_bits=2.474))
        assert lines(app.panel)[-2:] == ["rank 2 · surprise 2.47", "entropy 1.25 bits"]


async def test_the_same_token_is_not_painted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        token = Token(b"a", 0.712, TOP)
        app.panel.show(token)
        await pilot.pause()
        painted: list[object] = []
        monkeypatch.setattr(app.panel, "refresh", lambda *regions: painted.append(regions))
        app.panel.show(token)
        assert painted == []
        app.panel.show(None)
        assert len(painted) == 1


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (12, 3), (200, 50)])
async def test_any_size(size: tuple[int, int]) -> None:
    app = Host()
    async with app.run_test(size=size) as pilot:
        app.panel.show(Token("漢\u202e".encode(), 0.5, (*TOP, Alternative("漢漢漢漢漢漢".encode(), 0.1))))
        await pilot.pause()
        width, height = app.panel.content_size
        assert {app.panel.render_line(y).cell_length for y in range(height)} <= {width}


async def test_the_title_says_after_what_and_obeys_no_markup_in_it() -> None:
    app = Host()
    async with app.run_test(size=(60, 20)) as pilot:
        panel = app.query_one(NextToken)
        panel.show(None, (), b"[bold]13 + 29 = ")
        await pilot.pause()
        assert str(panel.border_title) == r"after '\[bold]13·+·29·=·'"  # as markup, escaped
