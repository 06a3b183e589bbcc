"""Tokens on a screen: colours for probabilities, whole characters, wrapping, following, and the cursor."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual.app import App, ComposeResult
from textual.color import Color

from femtotui.tokens.colours import N_SHADES, _to_oklab, contrast, shade_of, shades, text_on
from femtotui.tokens.layout import TokenLayout
from femtotui.tokens.token_view import TokenView


@dataclass(frozen=True)
class Token:
    bytes: bytes
    p: float = 0.5
    top: tuple[()] = ()


def tokens(text: bytes, p: float = 0.5) -> list[Token]:
    return [Token(bytes([byte]), p) for byte in text]


class Host(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.highlighted: list[int | None] = []

    def compose(self) -> ComposeResult:
        yield TokenView()

    def on_token_view_highlighted(self, message: TokenView.Highlighted) -> None:
        self.highlighted.append(message.index)

    @property
    def view(self) -> TokenView:
        return self.query_one(TokenView)


def lines(view: TokenView) -> list[str]:
    """The lines of text in sight, without the legend."""
    return [view.render_line(y).text.rstrip() for y in range(view.scrollable_content_region.height - 1)]


def style_at(view: TokenView, x: int, y: int) -> Style:
    style = next(iter(view.render_line(y).crop(x, x + 1))).style
    assert style is not None
    return style


# Layout


def drawn(layout: TokenLayout) -> list[str]:
    return ["".join(glyph.text for glyph in layout.line(index)) for index in range(layout.n_lines)]


def test_a_newline_breaks_the_line_and_long_lines_wrap() -> None:
    layout = TokenLayout(4)
    layout.reset(b"ab\n")
    layout.extend([b"c", b"defgh"])
    assert drawn(layout) == ["ab⏎", "cdef", "gh"]


def test_a_character_is_shown_as_bytes_until_its_last_token() -> None:
    layout = TokenLayout(40)
    layout.extend([b"a", b"\xe2"])
    assert drawn(layout) == ["a‹e2›"]
    layout.extend([b"\x82"])
    assert drawn(layout) == ["a‹e2›‹82›"]
    layout.extend([b"\xac"])
    assert drawn(layout) == ["a€"]
    assert layout.tokens_of(layout.line(0)[1]) == range(1, 4)
    assert layout.lines_of(3) == range(1)


def test_a_double_width_character_is_never_cut_in_two() -> None:
    layout = TokenLayout(3)
    layout.extend(["漢漢".encode()])
    assert drawn(layout) == ["漢", "漢"]


def test_a_token_without_bytes_takes_no_room() -> None:
    layout = TokenLayout(10)
    layout.extend([b"a", b"", b"b"])
    assert drawn(layout) == ["ab"]
    assert layout.token_at(0, 1) == 2
    assert layout.lines_of(1) == range(1)


@given(st.binary(max_size=8), st.lists(st.binary(max_size=4), max_size=40), st.integers(1, 12))
def test_streaming_gives_the_same_lines_as_all_at_once(prompt: bytes, parts: list[bytes], width: int) -> None:
    whole, streamed, rewrapped = TokenLayout(width), TokenLayout(width), TokenLayout(width + 5)
    for layout in (whole, streamed, rewrapped):
        layout.reset(prompt)
    whole.extend(parts)
    for part in parts:
        streamed.extend([part])
    rewrapped.extend(parts)
    rewrapped.set_width(width)
    assert drawn(streamed) == drawn(whole) == drawn(rewrapped)


@given(st.lists(st.binary(max_size=4), max_size=40), st.integers(10, 30))
def test_lines_are_inert_and_fit(parts: list[bytes], width: int) -> None:
    layout = TokenLayout(width)
    layout.extend(parts)
    for line in drawn(layout):
        assert cell_len(line) <= width
        assert not any(unicodedata.category(character) in {"Cc", "Cf", "Mn"} for character in line)


# Colours


@pytest.mark.parametrize("ground", ["#121212", "#e0e0e0", "#2e3440", "#fdf6e3"])
def test_shades_move_evenly_away_from_the_ground_and_stay_readable(ground: str) -> None:
    scale = shades(Color.parse(ground))
    distances = [contrast(shade, Color.parse(ground)) for shade in scale]
    assert distances[0] < 2
    assert distances[-1] > 4
    assert all(later > earlier - 0.05 for earlier, later in pairwise(distances[3:]))
    assert all(contrast(text_on(shade), shade) >= 4.5 for shade in scale)
    named = [_to_oklab(scale[shade_of(p)])[0] for p in (1.0, 0.5, 0.25, 0.1, 0.03, 0.01)]
    assert all(abs(later - earlier) > 0.07 for earlier, later in pairwise(named)), named


def test_each_halving_of_a_probability_is_the_same_step() -> None:
    steps = [shade_of(2.0**-bits) for bits in range(8)]
    assert {later - earlier for earlier, later in pairwise(steps)} == {4}
    assert (shade_of(1.0), shade_of(0.0), shade_of(float("nan"))) == (0, N_SHADES - 1, N_SHADES - 1)


async def test_tokens_are_coloured_by_probability_and_the_prompt_is_not() -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.show(b"p", [Token(b"a", 1.0), Token(b"b", 0.001), Token(b"c", 1.0)])
        await pilot.pause()
        prompt, sure, surprise, again = (style_at(app.view, x, 0).bgcolor for x in range(4))
        assert sure == again
        assert len({prompt, sure, surprise}) == 3
        legend = app.view.render_line(app.view.scrollable_content_region.height - 1).text
        assert "100%" in legend
        assert "1% or less" in legend


async def test_a_character_of_several_tokens_has_their_joint_probability() -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.append([Token(b"\xc3", 0.5), Token(b"\xa9", 0.25), Token(b"x", 0.125)])
        await pilot.pause()
        assert lines(app.view)[0] == "éx"
        assert style_at(app.view, 0, 0) == style_at(app.view, 1, 0)


@pytest.mark.parametrize("theme", ["textual-light", "nord", "dracula"])
async def test_colours_follow_the_theme(theme: str) -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.append(tokens(b"a"))
        await pilot.pause()
        before = style_at(app.view, 0, 0)
        app.theme = theme
        await pilot.pause()
        assert style_at(app.view, 0, 0) != before


async def test_without_colours_attributes_tell_probabilities_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.append(Token(b"x", p) for p in (0.9, 0.3, 0.05, 0.001))
        await pilot.pause()
        styles = [style_at(app.view, x, 0) for x in range(4)]
        looks = {(bool(style.bold), bool(style.underline), bool(style.reverse)) for style in styles}
        assert len(looks) == 4
        assert "over 50%" in app.view.render_line(app.view.scrollable_content_region.height - 1).text


async def test_sixteen_colour_themes_use_attributes_too() -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        app.theme = "ansi-dark"
        app.view.append([Token(b"x", 0.3)])
        await pilot.pause()
        assert style_at(app.view, 0, 0).underline


# View


async def test_streaming_follows_the_end() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.show(b"start\n")
        for number in range(50):
            app.view.append(tokens(f"line {number}\n".encode()))
        await pilot.pause()
        assert lines(app.view)[-1] == "line·49⏎"


async def test_what_is_given_before_the_first_frame_is_shown() -> None:
    app = Host()
    view = TokenView()
    view.show(b"p", tokens(b"abc"))
    async with app.run_test(size=(60, 30)) as pilot:
        await app.mount(view)
        await pilot.pause()
        assert lines(view)[0] == "pabc"


async def test_markup_and_escapes_are_text() -> None:
    app = Host()
    async with app.run_test(size=(60, 10)) as pilot:
        app.view.append(tokens(b"[red]x[/] \x1b[31m\r"))
        await pilot.pause()
        assert lines(app.view)[0] == "[red]x[/]·␛[31m␍"


async def test_the_cursor_walks_the_tokens_and_says_so() -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.show(b"p", tokens(b"ab\ncd\n"))
        app.view.focus()
        await pilot.press("right")
        assert app.view.cursor == 0
        await pilot.press("right", "down", "left", "up", "end", "right", "escape")
        assert app.highlighted == [0, 1, 5, 4, 0, 5, None]
        assert app.view.cursor is None


async def test_a_click_puts_the_cursor_on_a_token() -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        app.view.show(b"p", tokens(b"ab\ncd"))
        await pilot.pause()
        left, top = app.view.content_region.offset - app.view.region.offset
        await pilot.click(TokenView, offset=(left + 1, top + 1))
        assert app.highlighted == [4]
        await pilot.click(TokenView, offset=(left, top))
        assert app.view.cursor == 4


async def test_the_cursor_shows_and_holds_the_view_while_tokens_arrive() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.append(tokens(b"x\n" * 30))
        app.view.focus()
        await pilot.press("home")
        assert app.view.scroll_offset.y == 0
        assert style_at(app.view, 0, 0) != style_at(app.view, 0, 1)
        app.view.append(tokens(b"y\n" * 30))
        await pilot.pause()
        assert app.view.scroll_offset.y == 0
        await pilot.press("end")
        assert lines(app.view)[-1] == "y⏎"


async def test_keys_on_nothing_do_nothing() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.focus()
        await pilot.press("left", "right", "up", "down", "home", "end", "escape")
        assert app.view.cursor is None
        assert app.highlighted == []


async def test_a_new_text_takes_the_cursor_away() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.append(tokens(b"abc"))
        app.view.cursor = 2
        await pilot.pause()
        app.view.show(b"")
        await pilot.pause()
        assert app.highlighted == [2, None]
        assert app.view.tokens == []
        assert set(lines(app.view)) == {""}


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 4), (20, 3), (200, 50)])
async def test_any_size(size: tuple[int, int]) -> None:
    app = Host()
    async with app.run_test(size=size) as pilot:
        app.view.show(b"p", tokens("ab\n漢\u202e\xff".encode() + b"\xff" * 9))
        await pilot.pause()
        app.view.cursor = 3
        await pilot.pause()
        region = app.view.scrollable_content_region
        assert {app.view.render_line(y).cell_length for y in range(region.height)} <= {region.width}


async def test_resizing_wraps_again() -> None:
    app = Host()
    async with app.run_test(size=(80, 20)) as pilot:
        app.view.append(tokens(b"x" * 100))
        await pilot.resize_terminal(30, 20)
        await pilot.pause()
        width = app.view.scrollable_content_region.width
        assert lines(app.view)[0] == "x" * width


@pytest.mark.parametrize("no_colour", [False, True])
async def test_differences_colour_the_same_text_without_moving_anything(
    monkeypatch: pytest.MonkeyPatch, no_colour: bool
) -> None:
    if no_colour:
        monkeypatch.setenv("NO_COLOR", "1")
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        text = tokens(b"abcd")
        app.view.show(b"", text)
        app.view.cursor = 3
        assert app.view.rescore(text, [3.0, 0.0, -3.0, 0.0]) and app.view.cursor == 3
        await pilot.pause()
        better, alike, worse = (style_at(app.view, x, 0) for x in range(3))
        assert len({str(better), str(alike), str(worse)}) == 3
        assert "other" in app.view.render_line(app.view.scrollable_content_region.height - 1).text
        assert not app.view.rescore(tokens(b"abxd"))


async def test_without_following_a_growing_text_stays_at_its_beginning() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.follow = False
        app.view.show(b"start\n")
        for number in range(50):
            app.view.append(tokens(f"line {number}\n".encode()))
        await pilot.pause()
        assert lines(app.view)[0] == "start⏎"
