"""Inside, drawn: strips of heads, the lens in rows and columns, panels in three sizes, colours or digits."""

from __future__ import annotations

import numpy as np
import pytest
from screen_text import check, screen_text
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.geometry import Size

from femtotui.inspection.head_strips import HeadChoice, Row, head_rows, looked_at, pooled
from femtotui.inspection.inside_view import InsidePanels, Seen, inside_rows
from femtotui.inspection.lens import lens_rows
from femtotui.inspection.text_window import TextWindow, TokenSight
from femtotui.tokens.colours import N_SHADES, WEIGHT, weight_digit
from femtotui.tokens.token_view import TokenView

TEXT, N_PROMPT = "13 + 29 = 42;", 10


def sight(n_layers: int = 2, n_heads: int = 2, *, text: str = TEXT, start: int = 0) -> TokenSight:
    """The '4' of the sum: head h of layer l looks at position 3 l + h with 0.75, and evenly at the others.

    The lens finds '4' third, second and first, with 10%, 20%, ...
    """
    pieces = [character.encode() for character in text]
    at, n_seen = 0, N_PROMPT - start
    attention = np.zeros((1, n_layers, n_heads, n_seen), np.float16)
    for layer in range(n_layers):
        for head in range(n_heads):
            row = attention[0, layer, head]
            row[:] = 0.25 / (n_seen - 1)
            row[(3 * layer + head) % n_seen] = 0.75
    depths = n_layers + 1
    ids, chosen = [ord(character) for character in "012356789;"], ord("4")
    guesses, p, ranks = np.empty((1, depths, 11), np.int32), np.empty((1, depths, 11)), np.empty((1, depths))
    for depth in range(depths):
        rank = max(2 - depth, 0)
        guesses[0, depth, :10] = [*ids[:rank], chosen, *ids[rank:9]]
        p[0, depth] = [0.3 / (n + 1) for n in range(11)]
        p[0, depth, rank] = p[0, depth, 10] = 0.1 * (depth + 1)
        guesses[0, depth, 10], ranks[0, depth] = chosen, rank + 1
    names = {ord(character): character.encode() for character in text + TEXT + "0123456789"}
    which = b"".join(pieces[:N_PROMPT]), 64, N_PROMPT, start, 0, [ord(c) for c in text]
    window = TextWindow(*which, attention, guesses, p, ranks.astype(np.int32), names)
    return TokenSight(window, at)


def lines(rows: list[Row]) -> list[str]:
    return ["".join(ink.text for ink in row).rstrip() for row in rows]


def test_cells_for_several_tokens_hold_their_sum() -> None:
    weights = np.array([0.5, 0.1, 0.1, 0.1, 0.2], np.float32)
    assert pooled(weights, 8) == pytest.approx(weights.tolist())
    assert pooled(weights, 2) == pytest.approx([0.6, 0.4])
    assert pooled(weights, 0) == pytest.approx([1.0])


def test_the_choice_moves_through_the_mean_and_the_heads_and_stays_inside_the_model() -> None:
    seen, choice = sight(2, 2), HeadChoice()
    for by, head in ((-1, None), (1, 0), (1, 1), (1, 1), (-1, 0), (-1, None)):
        choice = choice.moved("head", by, seen)
        assert choice == HeadChoice(0, head)
    assert choice.moved("layer", 5, seen) == HeadChoice(1) and choice.moved("layer", -5, seen) == HeadChoice(
        0
    )
    assert HeadChoice(7, 7).moved("", 0, seen) == HeadChoice(1, 1)
    assert HeadChoice(0, 1).words == "layer 1, head 2" and HeadChoice(1).words == "layer 2, mean"


def test_the_tokens_looked_at_are_named_best_first_as_far_as_there_is_room() -> None:
    assert looked_at(sight(), HeadChoice(1, 1), 60) == "'·' 75% 6 back"
    mean = looked_at(sight(), HeadChoice(0), 60)
    assert mean.startswith("'1' 39% 10 back · '3' 39% 9 back")
    assert looked_at(sight(), HeadChoice(0), 20) == "'1' 39% 10 back"
    assert looked_at(sight(1, 1, text="a" * 50), HeadChoice(0, 0), 20) == "'a' 75% 10 back"


def test_strips_show_the_text_in_colours_or_tenths_as_digits() -> None:
    seen, choice = sight(), HeadChoice(1, 0)
    colours = head_rows(seen, choice, 40, 9, everything=False, in_colour=True)
    assert lines(colours) == [" mean 13 + 29 =", "▸2.1  13 + 29 =", " 2.2  13 + 29 ="]
    shades = [ink.shade for ink in colours[1][1:-1]]
    assert max(shades) == shades[3] == WEIGHT.shade_of(0.75) and len(shades) == 10
    digits = head_rows(seen, choice, 40, 9, everything=False, in_colour=False)
    assert lines(digits) == ["      13 + 29 =", " mean ···44·····", "▸2.1  ···8······", " 2.2  ····8·····"]
    weights = (0, 0.04, 0.06, 0.5, 0.97, 1.0, float("nan"))
    assert "".join(map(weight_digit, weights)) == "··1599·"


def test_all_heads_stand_in_columns_and_the_choice_stays_in_sight() -> None:
    rows = lines(head_rows(sight(4, 4), HeadChoice(3, 1), 80, 20, everything=True, in_colour=False))
    assert len(rows) == 5 and [row.count(".") for row in rows[1:]] == [4] * 4 and "▸4.2" in rows[2]
    rows = lines(head_rows(sight(8, 8), HeadChoice(6, 7), 40, 10, everything=True, in_colour=False))
    assert len(rows) == 10 and any("▸7.8" in row for row in rows)
    one = lines(head_rows(sight(8, 8), HeadChoice(6, 7), 20, 1, everything=False, in_colour=True))
    assert one[0].startswith("▸7.8")


def test_a_window_longer_than_the_strip_is_pooled_without_letters() -> None:
    rows = head_rows(sight(), HeadChoice(0, 0), 12, 9, everything=False, in_colour=False)
    assert lines(rows)[0] == "" and lines(rows)[2] == "▸1.1  81111"


def test_the_lens_is_a_column_a_depth_and_a_row_a_depth_where_it_is_narrow() -> None:
    columns = lines(lens_rows(sight(), 60, 6))
    assert columns[0].split() == ["lens", "embed", "layer", "1", "layer", "2"]
    assert columns[1].count("▸'4'") == 1 and columns[1].index("▸'4'") > columns[0].index("layer 2") - 2
    assert columns[3].startswith("▸'4'") and columns[-1].split() == ["10%", "#3", "20%", "#2", "30%", "#1"]
    rows = lines(lens_rows(sight(), 28, 9))
    assert rows[0] == "lens  most proba '4'" and len(rows) == 4
    assert rows[3].startswith("  2   ▸'4'  30%") and rows[3].endswith(" 30% #1")
    assert len(lens_rows(sight(), 28, 3)) == 3 and "2" in lines(lens_rows(sight(), 28, 3))[2][:4]


@pytest.mark.parametrize("size", [(28, 12), (40, 18), (70, 30), (10, 30), (10, 4), (1, 1), (0, 0)])
@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("in_colour", [False, True])
def test_every_size_is_filled_and_not_exceeded(
    size: tuple[int, int], everything: bool, in_colour: bool
) -> None:
    rows = inside_rows(
        sight(4, 4, start=3), HeadChoice(9, 9), Size(*size), everything=everything, in_colour=in_colour
    )
    assert len(rows) <= size[1]
    if size[0] >= 28:
        assert lines(rows)[0].startswith("to predict '4', '·' before")
        assert "context of 64" in lines(rows)[1]
        assert any("▸4.4" in line for line in lines(rows))


def test_weights_have_a_shade_for_a_twentieth_and_none_for_nothing() -> None:
    assert WEIGHT.shade_of(0) == WEIGHT.shade_of(float("nan")) == 0 and WEIGHT.shade_of(1) == N_SHADES - 1
    assert WEIGHT.shade_of(0.05) >= 5


class Host(App[None]):
    """A text of which the panels show the '4'."""

    CSS = "TokenView { width: 30; } #inside { width: 1fr; layout: horizontal; } .-unused { display: none; }"

    def __init__(self, seen: list[Seen], choice: HeadChoice) -> None:
        super().__init__()
        self._seen, self._choice = seen, choice

    def compose(self) -> ComposeResult:
        yield Horizontal(TokenView(), InsidePanels())

    def on_mount(self) -> None:
        panels, view = self.query_one(InsidePanels), self.query_one(TokenView)
        view.follow = False
        view.show(TEXT[:N_PROMPT].encode())
        panels.choice = self._choice
        panels.show(self._seen)
        weights, view.border_subtitle = panels.weights_and_caption
        view.tint(weights)


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("look", ["textual-dark", "textual-light", "digits"])
async def test_the_panels_look_as_they_did(
    size: tuple[int, int], look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if look == "digits":
        monkeypatch.setenv("NO_COLOR", "1")
    seen = [
        Seen("step 1,400 · #7 addition", sight(4, 4)),
        Seen("step 200 · checkpoint 1 of 3 kept", sight(2, 4), "reading step 300…"),
    ]
    app = Host(seen[: 1 + (size[0] > 100)], HeadChoice(1, 0))
    async with app.run_test(size=size) as pilot:
        if look != "digits":
            app.theme = look
        await pilot.pause()
        await pilot.pause()
        check(f"inside-{size[0]}x{size[1]}-{look.removeprefix('textual-')}", screen_text(app))


async def test_a_text_is_coloured_by_weights_of_its_bytes_prompt_included() -> None:
    app = Host([Seen("one", sight())], HeadChoice(0, 0))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        view = app.query_one(TokenView)
        styles = [segment.style for segment in view.render_line(0)]
        backgrounds = {str(style.bgcolor) for style in styles if style is not None}
        assert len(backgrounds) == 3, "looked at, hardly looked at, and what is no text"
        assert " 50  all" in view.render_line(view.scrollable_content_region.height - 1).text
        view.tint(None)
        await pilot.pause()
        assert len(list(view.render_line(0))) < len(styles) + 2
