"""Weights as pictures: the walk from tensor to tensor, cells and their scale, figures."""

from __future__ import annotations

import numpy as np
import pytest
from rich.cells import cell_len
from textual.color import Color

from femtotui.core.config import ModelConfig
from femtotui.core.model.parameters import named_tensors
from femtotui.inspection.weights import HeatMap, TensorFigures, WeightsWalk, viewed_tensors
from femtotui.tokens.colours import DARK_GROUND, DIFFERENCE, LIGHT_GROUND, contrast, text_on

MODEL = ModelConfig(n_layers=2, width=8, n_heads=2, context=4, vocab_size=5)
TENSORS = named_tensors(np.arange(MODEL.n_parameters, dtype=np.float32), MODEL)
NONE, MOST, LOST = 7, 14, 15


def walk() -> WeightsWalk:
    made = WeightsWalk(MODEL.n_heads)
    made.use(TENSORS)
    return made


def shades(tensor: object, width: int = 40, height: int = 20) -> list[list[int]]:
    """The shades of the cells' rows; as many of them as there are lines, as without colours."""
    drawn = HeatMap.of(np.array(tensor, np.float32), width, height, in_colour=False)
    return drawn.shades_LRC[:, 0].tolist()


# -- the walk ------------------------------------------------------------------------------------------


def test_queries_keys_and_values_stand_in_place_of_qkv_and_nothing_else_changes() -> None:
    found = viewed_tensors(TENSORS)
    qkv = TENSORS["layers.1.attention.qkv.weight"]
    parts = [found[f"layers.1.attention.{part}"] for part in ("queries", "keys", "values")]
    assert np.array_equal(np.concatenate(parts, axis=1), qkv)
    others = {name for name in TENSORS if "qkv" not in name}
    assert others == {name for name in found if not name.endswith(("queries", "keys", "values"))}
    assert all(found[name] is TENSORS[name] for name in others)


def test_the_walk_reaches_every_tensor_and_ends_at_both_sides() -> None:
    it, seen = walk(), {}
    for _ in range(9):
        it.move_layer(-1)
    assert it.words == "embedding · token_embedding.weight"
    for _ in range(9):
        for _ in range(20):
            it.move_kind(-1)
        for _ in range(20):
            seen[it.words.replace(" · all heads", "")] = it.tensor
            it.move_kind(1)
        it.move_layer(1)
    assert it.words.startswith("output") and len(seen) == len(viewed_tensors(TENSORS))
    assert seen["layer 2 of 2 · norm2.bias"] is TENSORS["layers.1.norm2.bias"]
    assert seen["output · head.weight"] is TENSORS["head.weight"]


def test_a_layer_is_left_at_the_same_kind() -> None:
    it = walk()
    it.move_kind(1)
    it.move_layer(1)
    assert it.words == "layer 2 of 2 · attention.keys · all heads"


def test_a_head_has_columns_of_queries_and_rows_of_projection() -> None:
    it = walk()
    it.move_head()
    it.move_head()
    assert it.words == "layer 1 of 2 · attention.queries · head 2 of 2"
    assert np.array_equal(it.tensor, TENSORS["layers.0.attention.qkv.weight"][:, 4:8])
    for _ in range(3):
        it.move_kind(1)
    assert np.array_equal(it.tensor, TENSORS["layers.0.attention.projection.weight"][4:])
    it.move_kind(1)
    assert not it.has_heads and it.tensor is TENSORS["layers.0.feed_forward.up.weight"]
    it.move_kind(-1)
    it.move_head()
    assert it.words.endswith("all heads") and it.tensor.shape == (8, 8)


# -- the map -------------------------------------------------------------------------------------------


def test_the_scale_is_alike_on_both_sides_of_0() -> None:
    assert shades([[-2, -1, 0, 1, 2]]) == [[0, 3, NONE, 11, MOST]]
    assert shades([[0, 1, 2]]) == [[NONE, 11, MOST]]
    assert shades(np.zeros((2, 3))) == [[NONE] * 3] * 2


def test_one_outlier_does_not_dim_the_others() -> None:
    cells = np.ones((20, 20))
    cells[0, 0] = 1e6
    drawn = HeatMap.of(cells, 40, 20, in_colour=False)
    assert drawn.end == 1 and set(drawn.shades_LRC.ravel()) == {MOST}
    alone = np.zeros((20, 20))
    alone[3, 4] = 5
    assert HeatMap.of(alone, 40, 20, in_colour=False).end == 5, "the only one that is not 0"


def test_weights_without_a_cell_of_their_own_are_averaged() -> None:
    tensor = np.zeros((5, 4))
    tensor[0, 0], tensor[4] = 8, -2
    drawn = HeatMap.of(tensor, 4, 2, in_colour=False)  # rows 2 and 3, columns 2 and 2
    assert drawn.shades_LRC[:, 0].tolist() == [[MOST, NONE], [5, 5]]
    assert drawn.end == pytest.approx(2, rel=0.05), "8 / (2 x 2)"
    assert drawn.caption == "a cell: the mean of 2–3 × 2 weights"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_shown_as_such(value: float) -> None:
    assert shades([[1, value], [-1, 0]]) == [[MOST, LOST], [0, NONE]]
    assert shades([[value]]) == [[LOST]]
    drawn = HeatMap.of(np.array([[1, value]]), 4, 1, in_colour=False)
    assert drawn.line(0, None)[0].text == "+7 ?"
    figures = TensorFigures.of(np.array([3.0, value, -4]), 2)
    assert figures.n_not_finite == 1 and (figures.norm, figures.largest) == (5, -4)
    assert "not finite 1" in figures.lines(30)
    lines = TensorFigures.of(np.array([value]), 4).lines(30)
    assert lines[:2] == ["shape      1", "norm       nan"]


def test_numbers_at_the_end_of_their_range_are_no_trouble() -> None:
    big, small = float(np.finfo(np.float32).max), float(np.finfo(np.float32).smallest_subnormal)
    assert shades([[big, -big]]) == [[MOST, 0]] and shades([[small, 0]]) == [[MOST, NONE]]
    assert TensorFigures.of(np.array([big, -big], np.float32), 3).counts == (1, 0, 1)


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (64, 256), (256, 64), (1000, 3), (64,), (1024,), (2,)])
@pytest.mark.parametrize("room", [(1, 1), (3, 2), (44, 19), (150, 42)])
@pytest.mark.parametrize("ground", [None, DARK_GROUND, LIGHT_GROUND])
def test_a_map_fits_into_its_room(
    shape: tuple[int, ...], room: tuple[int, int], ground: Color | None
) -> None:
    tensor = np.random.default_rng(0).normal(size=shape)
    drawn = HeatMap.of(tensor, *room, in_colour=ground is not None)
    lines = [drawn.line(y, ground) for y in range(room[1])]
    widths = {sum(cell_len(s.text) for s in line) for line in lines} - {0}
    assert len(widths) == 1 and max(widths) <= max(room[0], 2)
    assert len(drawn.shades_LRC) <= room[1] and not drawn.line(len(drawn.shades_LRC), None)[0].text


def test_a_vector_is_a_strip_and_small_matrices_are_enlarged() -> None:
    strip = HeatMap.of(np.arange(10), 60, 30, in_colour=True)
    assert strip.shades_LRC.shape == (30, 2, 60) and (strip.shades_LRC == strip.shades_LRC[0, 0]).all()
    matrix = HeatMap.of(np.arange(100).reshape(10, 10), 60, 30, in_colour=True)
    assert matrix.shades_LRC.shape == (30, 2, 60)


@pytest.mark.parametrize("ground", [DARK_GROUND, LIGHT_GROUND])
def test_two_rows_share_a_line_in_the_colours_of_their_cells(ground: Color) -> None:
    drawn = HeatMap.of(np.array([[1, -1], [0, np.nan], [1, 1]]), 2, 2, in_colour=True)
    colours = [c.rich_color for c in DIFFERENCE.shades(ground)]
    first, second = drawn.line(0, ground)
    assert (first.style.color, first.style.bgcolor) == (colours[MOST], colours[NONE])
    assert (second.style.color, second.style.bgcolor) == (colours[0], text_on(ground).rich_color)
    (last,) = drawn.line(1, ground)
    assert last.text == "▀▀" and last.style.bgcolor == ground.rich_color, "nothing below the last row"
    assert contrast(text_on(ground), ground) > 15


def test_the_legend_says_where_the_scale_ends() -> None:
    drawn = HeatMap.of(np.array([[0.25, -0.1]]), 10, 1, in_colour=True)
    legend = drawn.legend(DARK_GROUND)
    assert (legend[0].text, legend[-1].text, len(legend)) == ("-0.25 ", " +0.25", 17)
    assert drawn.legend(None)[0].text == "-7 to +7: -0.25 to +0.25"


# -- figures -------------------------------------------------------------------------------------------


def test_figures_are_those_of_the_weights() -> None:
    tensor = np.random.default_rng(1).normal(0.5, 2, (40, 30)).astype(np.float32)
    found = TensorFigures.of(tensor, 7)
    assert found.shape == (40, 30) and sum(found.counts) == 1200 and len(found.middles) == 7
    assert found.norm == pytest.approx(np.sqrt((tensor.astype(float) ** 2).sum()))
    assert (found.mean, found.std) == pytest.approx((tensor.mean(), tensor.std()), rel=1e-5)
    assert abs(found.largest) == np.abs(tensor).max()
    lines = found.lines(40)
    assert lines[0] == "shape      40 × 30" and max(map(cell_len, lines)) <= 40
    assert sum("█" * 30 in line for line in lines) == 1, "the fullest bin has the whole width"
