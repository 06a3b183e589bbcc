"""What heads looked at, drawn: a strip of the text for each head, and the tokens looked at most."""

from __future__ import annotations

import math
from itertools import chain, zip_longest
from typing import Literal, NamedTuple

import numpy as np

from femtotui.core.model.layers import FloatArray

from ..text.safe import narrow_line, one_line
from ..tokens.alternatives import quoted
from ..tokens.colours import WEIGHT, weight_digit
from .text_window import TokenSight

_LABEL_WIDTH = 6
_LEAST_CELLS = 10
_LEAST_NAMED = 0.05
"""Tokens that were looked at less are not named."""


class Painted(NamedTuple):
    """Some characters and their look; a shade of WEIGHT is their background."""

    text: str
    part: Literal["text", "muted", "marked"] = "text"
    shade: int | None = None


Row = list[Painted]


class HeadChoice(NamedTuple):
    """A layer and one of its heads, counted from 0; None is the mean of the layer's heads."""

    layer: int = 0
    head: int | None = None

    def moved(self, what: str, by: int, sight: TokenSight) -> HeadChoice:
        """Another `layer` or `head` of a model, as far as it has them; the mean comes before the first."""
        layer, head = self.layer + by * (what == "layer"), -1 if self.head is None else self.head
        head = min(max(head + by * (what == "head"), -1), sight.n_heads - 1)
        return HeadChoice(min(max(layer, 0), sight.n_layers - 1), None if head < 0 else head)

    @property
    def words(self) -> str:
        return f"layer {self.layer + 1}, {'mean' if self.head is None else f'head {self.head + 1}'}"


def pooled(weights_T: FloatArray, n_cells: int) -> list[float]:
    """The weights in at most `n_cells` cells: the sums of neighbours where there are more of them."""
    n = min(weights_T.size, max(n_cells, 1))
    sums: list[float] = np.add.reduceat(weights_T, np.arange(n) * weights_T.size // n).tolist()
    return sums


def looked_at(sight: TokenSight, choice: HeadChoice, width: int) -> str:
    """The tokens looked at most, best first, and how many tokens back they are."""
    weights_T, words = sight.weights(*choice), ""
    for t in np.argsort(-weights_T, kind="stable").tolist():
        more = f"{quoted(sight.pieces[t])} {weights_T[t]:.0%} {sight.n_seen - t} back"
        if weights_T[t] >= _LEAST_NAMED and len(words) + len(more) + 3 <= width:
            words += f" · {more}" if words else more
    return one_line(words or "a little at everything", width)


def head_rows(
    sight: TokenSight, choice: HeadChoice, width: int, height: int, *, everything: bool, in_colour: bool
) -> list[Row]:
    """A strip for each head of the chosen layer and their mean, or for `everything`, in columns.

    Where they do not fit, those around the choice are drawn. Without colours, digits stand for tenths.
    """
    layers = range(sight.n_layers) if everything else [choice.layer]
    heads: list[int | None] = [*([] if everything else [None]), *range(sight.n_heads)]
    n_columns = width // (_LABEL_WIDTH + sight.n_seen + 2)
    if math.ceil(len(layers) / max(n_columns, 1)) * len(heads) > height:
        n_columns = width // (_LABEL_WIDTH + _LEAST_CELLS)
    per_column = math.ceil(len(layers) / min(max(n_columns, 1), len(layers)))
    column_width = width // math.ceil(len(layers) / per_column)
    n_cells = min(max(column_width - _LABEL_WIDTH - 1, 1), sight.n_seen)
    letters = " " * n_cells  # no letters where a cell stands for several tokens
    if n_cells == sight.n_seen:
        letters = "".join((narrow_line(piece.strip(b" ")) or " ")[0] for piece in sight.pieces)
    columns = [
        [
            _strip(sight, HeadChoice(layer, head), choice, letters, column_width, in_colour)
            for layer in layers[begin : begin + per_column]
            for head in heads
        ]
        for begin in range(0, len(layers), per_column)
    ]
    rows = [list(chain(*row)) for row in zip_longest(*columns, fillvalue=[])]
    legend = [] if in_colour else [[Painted(" " * _LABEL_WIDTH), Painted(letters, "muted")]]
    n_shown = max(height - len(legend), 0)
    at_head = heads.index(choice.head) if choice.head in heads else 0
    marked = layers.index(choice.layer) % per_column * len(heads) + at_head
    top = min(max(marked - n_shown // 2, 0), max(len(rows) - n_shown, 0))
    return [*legend, *rows[top : top + n_shown]][:height]


def _strip(
    sight: TokenSight, shown: HeadChoice, choice: HeadChoice, letters: str, width: int, in_colour: bool
) -> Row:
    name = "mean" if shown.head is None else f"{shown.layer + 1}.{shown.head + 1}"
    label = f"{'▸' if shown == choice else ' '}{name:<{_LABEL_WIDTH - 1}}"
    is_marked = shown.layer == choice.layer and choice.head in (shown.head, None)
    weights = pooled(sight.weights(*shown), len(letters))
    cells = [Painted(text, "text", WEIGHT.shade_of(w)) for text, w in zip(letters, weights, strict=True)]
    cells = cells if in_colour else [Painted("".join(map(weight_digit, weights)))]
    rest = Painted(" " * max(width - _LABEL_WIDTH - len(letters), 0))
    return [Painted(label, "marked" if is_marked else "muted"), *cells, rest]
