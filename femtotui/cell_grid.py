"""A grid of characters, each with an ink, that turns into Textual strips and knows what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

_SPACE = ord(" ")


@dataclass(frozen=True)
class CellGrid:
    """Characters (code points, each one cell wide) and inks (indices into a list of styles), both (H, W)."""

    codes_HW: NDArray[np.uint32]
    inks_HW: NDArray[np.uint8]

    @classmethod
    def blank(cls, height: int, width: int) -> CellGrid:
        """A grid of spaces in ink 0."""
        return cls(
            np.full((height, width), _SPACE, dtype=np.uint32), np.zeros((height, width), dtype=np.uint8)
        )

    @property
    def height(self) -> int:
        return int(self.codes_HW.shape[0])

    @property
    def width(self) -> int:
        return int(self.codes_HW.shape[1])

    def put(self, row: int, column: int, text: str, ink: int) -> None:
        """Write `text` (one cell a character); what lies outside the grid is left out."""
        if not 0 <= row < self.height or column >= self.width:
            return
        text = text[max(-column, 0) : self.width - column]
        column = max(column, 0)
        if text:
            self.codes_HW[row, column : column + len(text)] = [ord(character) for character in text]
            self.inks_HW[row, column : column + len(text)] = ink

    def strip(self, row: int, styles: Sequence[Style]) -> Strip:
        """One row as a strip: a segment for each stretch of one ink."""
        if not self.width:
            return Strip([], 0)
        inks_W = self.inks_HW[row]
        text = self.codes_HW[row].astype("<u4").tobytes().decode("utf-32-le")
        bounds = [0, *(np.flatnonzero(np.diff(inks_W)) + 1).tolist(), self.width]
        segments = [Segment(text[start:stop], styles[inks_W[start]]) for start, stop in pairwise(bounds)]
        return Strip(segments, self.width)

    def changed_rows(self, other: CellGrid) -> list[int]:
        """The rows that differ from those of a grid of the same size."""
        differs_HW = (self.codes_HW != other.codes_HW) | (self.inks_HW != other.inks_HW)
        return np.flatnonzero(differs_HW.any(axis=1)).tolist()
