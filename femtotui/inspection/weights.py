"""Weights as pictures: the way from tensor to tensor, a heat map in half blocks, figures and a histogram."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from ..tokens.alternatives import bar
from ..tokens.colours import DIFFERENCE, N_DIFFERENCES, text_on

Floats = NDArray[Any]

SCALE_QUANTILE = 0.99
"""The colours end where only a hundredth of the cells lies beyond: one outlier must not dim the others."""

MAX_STRETCH, STRIP_STRETCH = 4, 16
"""A cell is drawn at most this many times as long as it is wide; that of a vector, so many times as high."""

_NOT_FINITE = 2 * N_DIFFERENCES + 1
_SIGNED_DIGITS = [*(f"{n:+d}" if n else " ·" for n in range(-N_DIFFERENCES, N_DIFFERENCES + 1)), " ?"]
_PARTS = ("queries", "keys", "values")
_WITH_HEADS = (*(f"attention.{part}" for part in _PARTS), "attention.projection.weight")


# -- tensors -------------------------------------------------------------------------------------------


def viewed_tensors(tensors: Mapping[str, Floats]) -> dict[str, Floats]:
    """The tensors by name, with queries, keys and values in place of each qkv.weight; views, in order."""
    found: dict[str, Floats] = {}
    for name, tensor in tensors.items():
        stem = name.removesuffix("qkv.weight")
        parts = zip(_PARTS, np.split(tensor, 3, axis=1), strict=True) if stem != name else [("", tensor)]
        found |= {stem + part: values for part, values in parts}
    return found


class WeightsWalk:
    """The tensor that is looked at, and the way to others: by layer, by kind, by head.

    Places are the embedding, each layer and the output; a kind is a tensor's name within its place. Head -1
    is all heads together.
    """

    def __init__(self, n_heads: int) -> None:
        self.n_heads, self.place, self.kind, self.head = n_heads, "layer 1", _WITH_HEADS[0], -1
        self._places: dict[str, dict[str, Floats]] = {}

    def use(self, tensors: Mapping[str, Floats]) -> None:
        """Look at the tensors of the model, those of another step from now on."""
        self._places = {}
        for name, tensor in viewed_tensors(tensors).items():
            place, kind = "embedding" if name.startswith("token_embedding") else "output", name
            if name.startswith("layers."):
                _, layer, kind = name.split(".", 2)
                place = f"layer {int(layer) + 1}"
            self._places.setdefault(place, {})[kind] = tensor

    @property
    def kinds(self) -> list[str]:
        return list(self._places[self.place])

    @property
    def has_heads(self) -> bool:
        return self.kind in _WITH_HEADS

    @property
    def tensor(self) -> Floats:
        """The tensor (rows, columns) or (columns,) that is looked at; of a head, its columns or rows."""
        whole = self._places[self.place][self.kind]
        if not self.has_heads or self.head < 0:
            return whole
        return np.split(whole, self.n_heads, axis=int(self.kind != _WITH_HEADS[-1]))[self.head]

    @property
    def words(self) -> str:
        """Place, kind and head, on one line."""
        of_all = f" of {len(self._places) - 2}" if self.place.startswith("layer") else ""
        head = "all heads" if self.head < 0 else f"head {self.head + 1} of {self.n_heads}"
        return " · ".join((self.place + of_all, self.kind, *([head] if self.has_heads else [])))

    def move_layer(self, by: int) -> None:
        """To another place, at the same kind where it has that."""
        self.place = _neighbour(list(self._places), self.place, by)
        self.kind = self.kind if self.kind in self.kinds else self.kinds[0]

    def move_kind(self, by: int) -> None:
        self.kind = _neighbour(self.kinds, self.kind, by)

    def move_head(self) -> None:
        """To the next head; after the last one, to all of them."""
        self.head = (self.head + 2) % (self.n_heads + 1) - 1


def _neighbour(names: list[str], name: str, by: int) -> str:
    return names[min(max(names.index(name) + by, 0), len(names) - 1)]


# -- pictures ------------------------------------------------------------------------------------------


class TensorFigures(NamedTuple):
    """Figures of the finite weights of a tensor; `largest` is the one farthest from 0, with its sign.

    `counts` are the weights in each bin of the histogram, `middles` the bins' middle values.
    """

    shape: tuple[int, ...]
    norm: float
    mean: float
    std: float
    largest: float
    n_not_finite: int
    middles: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Floats, n_bins: int) -> TensorFigures:
        finite_N = tensor[np.isfinite(tensor)].astype(np.float64)
        n_not_finite, counts, edges = tensor.size - finite_N.size, np.empty(0, np.intp), np.empty(0)
        if finite_N.size:
            counts, edges = np.histogram(finite_N, n_bins)
        else:
            finite_N = np.array([math.nan])
        largest = finite_N[np.abs(finite_N).argmax()]
        norm, mean, std = float(np.linalg.norm(finite_N)), float(finite_N.mean()), float(finite_N.std())
        middles, histogram = tuple((edges[1:] / 2 + edges[:-1] / 2).tolist()), tuple(counts.tolist())
        return cls(tensor.shape, norm, mean, std, float(largest), n_not_finite, middles, histogram)

    def lines(self, width: int) -> list[str]:
        """The figures, and the histogram with a bar a line."""
        facts = {"shape": " × ".join(f"{n:,}" for n in self.shape)}
        facts |= {name: f"{getattr(self, name):.4g}" for name in ("norm", "mean", "std", "largest")}
        facts |= {"not finite": f"{self.n_not_finite:,}"} if self.n_not_finite else {}
        bars = (bar(count / max(self.counts), max(width - 10, 1)) for count in self.counts)
        bins = zip(self.middles, bars, strict=True)
        return [
            *(f"{name:<10} {value}" for name, value in facts.items()),
            "",
            *(f"{middle:>9.2g} {drawn}" for middle, drawn in bins),
        ]


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Cells as shades (lines, rows of a line, columns): two rows a line in half blocks, one as digits.

    A shade is an index of DIFFERENCE's, N_DIFFERENCES for 0, or `_NOT_FINITE`; `end` is the value at either
    end of the scale.
    """

    shades_LRC: NDArray[np.int_]
    end: float
    caption: str

    @classmethod
    def of(cls, tensor: Floats, width: int, height: int, *, in_colour: bool) -> HeatMap:
        """A picture of a matrix, or of a vector as a strip, in at most `width` columns and `height` lines.

        Weights without a cell of their own are averaged; a cell is finite if all of its weights are.
        """
        tensor_RC, per_line = np.atleast_2d(tensor), 1 + in_colour
        room = max(height * per_line, 1), max(width // (1 if in_colour else 2), 1)
        sums_RC, counts_RC = (_summed(x_RC, room) for x_RC in (tensor_RC, np.ones(tensor_RC.shape)))
        cells_RC = sums_RC / counts_RC
        is_finite_RC = np.isfinite(cells_RC)
        sizes = np.abs(cells_RC[is_finite_RC])
        end = float(np.quantile(sizes, SCALE_QUANTILE) or sizes.max()) if sizes.size else 0.0
        shares_RC = np.clip(np.where(is_finite_RC, cells_RC, 0) / (end or 1.0), -1, 1)
        shades_RC = np.rint(shares_RC * N_DIFFERENCES).astype(int) + N_DIFFERENCES
        shades_RC[~is_finite_RC] = _NOT_FINITE
        if in_colour:
            down, across = (most // n for most, n in zip(room, shades_RC.shape, strict=True))
            stretch = MAX_STRETCH if len(tensor_RC) > 1 else STRIP_STRETCH
            down, across = min(down, stretch * across), min(across, MAX_STRETCH * down)
            shades_RC = shades_RC.repeat(down, axis=0).repeat(across, axis=1)
        padded_RC = np.pad(shades_RC, ((0, len(shades_RC) % per_line), (0, 0)), constant_values=N_DIFFERENCES)
        caption = _caption(tensor_RC.shape, cells_RC.shape)
        return cls(padded_RC.reshape(-1, per_line, shades_RC.shape[1]), end, caption)

    def line(self, y: int, ground: Color | None) -> list[Segment]:
        """Line `y`, nothing below the map, on a background; as signs and digits without one."""
        rows = self.shades_LRC[y].tolist() if y < len(self.shades_LRC) else [[]]
        if ground is None:
            return [Segment("".join(_SIGNED_DIGITS[shade] for shade in rows[0]))]
        colours = [color.rich_color for color in (*DIFFERENCE.shades(ground), text_on(ground))]
        return [
            Segment("▀" * len(list(same)), Style.from_color(*(colours[shade] for shade in pair)))
            for pair, same in groupby(zip(*rows, strict=True))
        ]

    def legend(self, ground: Color | None) -> list[Segment]:
        """The meaning of the colours, or of the digits."""
        if ground is None:
            return [Segment(f"-{N_DIFFERENCES} to +{N_DIFFERENCES}: {-self.end:.2g} to {self.end:+.2g}")]
        shades = [Segment("  ", Style.from_color(None, c.rich_color)) for c in DIFFERENCE.shades(ground)]
        return [Segment(f"{-self.end:.2g} "), *shades, Segment(f" {self.end:+.2g}")]


def _summed(x_RC: Floats, most: tuple[int, int]) -> Floats:
    """Sums of blocks of rows and columns that differ in size by one at most."""
    for axis, (size, room) in enumerate(zip(x_RC.shape, most, strict=True)):
        n = min(size, room)
        with np.errstate(all="ignore"):
            x_RC = np.add.reduceat(x_RC, np.arange(n) * size // n, axis=axis, dtype=np.float64)
    return x_RC


def _caption(shape: tuple[int, ...], cells: tuple[int, ...]) -> str:
    """How many weights, rows × columns, a cell is the mean of."""
    sizes = ((n // m, -(-n // m)) for n, m in zip(shape, cells, strict=True))
    per = " × ".join(f"{least}" if least == most else f"{least}–{most}" for least, most in sizes)
    return "a cell a weight" if shape == cells else f"a cell: the mean of {per} weights"
